// Encodings 3 to 6 of docs/FORMAT.md, section 7, and what all encodings with a prediction share.
// Whole chunks in, stored bytes out. What is worth it is the caller's to decide: none of these
// compares its result with a raw copy.
#pragma once

#include <functional>

#include "base/codec.h"
#include "base/encodings/block.h"
#include "base/encodings/cast.h"

namespace cairn {

/// A chunk in an encoding: what goes into a pack, and what must be remembered to decode it.
struct Encoded {
  Encoding encoding = Encoding::kRaw;
  Bytes parameters;
  Bytes stored;
};

// REQUIRES of all: sizes are whole numbers of items, not empty. Threads: any.

Encoded encode_planes(ByteSpan items, ItemForm form, Effort effort);
/// kSparse where every block came out as same, gaps or bits, else kDelta.
Encoded encode_delta(ByteSpan items, ByteSpan base, ItemForm form, Effort effort);
/// `base` is of the cast's source dtype, `items` of its target's.
Encoded encode_derived(ByteSpan items, ByteSpan base, Cast cast, Effort effort);

/// Fills `prediction` for the items of the block that begins at item `first`.
using Predict = std::function<void(size_t first, MutableBytes prediction)>;

/// The residuals of all blocks. `all_sparse`, if given, is set when each is one of these.
void append_corrections(ByteSpan items, const Predict& predict, ItemForm form, Effort effort,
                        Bytes& stored, bool* all_sparse = nullptr);
/// Fills `out` from prediction and corrections; all of `stored` must be used up.
/// Errors: kCorrupt, kNewerFormat.
Status read_corrections(ByteSpan stored, const Predict& predict, ItemForm form, MutableBytes out,
                        bool only_sparse = false);

/// `items` holds the prediction before and what the residuals make of it after.
void apply_residuals(ByteSpan residuals, ItemForm form, MutableBytes items);

Status decode_planes(ByteSpan parameters, ByteSpan stored, MutableBytes out);
/// The same but for its last step, which join_planes() is: `out` gets the planes of each block, as
/// read_item_planes() leaves them. What one of both takes for damage the other does too.
Status decode_to_planes(ByteSpan parameters, ByteSpan stored, MutableBytes out);
/// REQUIRES: whole items of 2, 4 or 8 bytes; `items` is as large as `planes`, and apart from it.
void join_planes(ByteSpan planes, unsigned item_bytes, MutableBytes items);
/// kDelta and kSparse. `out` may be the base itself: what does not change is then not touched.
Status decode_delta(Encoding encoding, ByteSpan parameters, ByteSpan stored, ByteSpan base,
                    MutableBytes out);
Status decode_derived(ByteSpan parameters, ByteSpan stored, ByteSpan base, MutableBytes out);

// The parts of decode_derived(), for who casts elsewhere.

/// The cast of a base of so many bytes to a copy of so many. Errors: those of decode_derived().
Result<Cast> read_cast(ByteSpan parameters, size_t bytes, size_t base_bytes);
/// Whether all of so many items are as predicted: nothing corrects them.
bool are_as_predicted(ByteSpan stored, size_t items);
/// The residuals of all items; false when some can only be read beside what is predicted.
/// `residuals` holds anything then, and after an error: those of decode_derived().
Result<bool> read_residuals(ByteSpan stored, ItemForm form, MutableBytes residuals);

}  // namespace cairn
