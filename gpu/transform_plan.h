// The part of the encodings before entropy coding (docs/FORMAT.md, section 7), of many chunks at a
// time, in device memory: items against their prediction become planes, or codes and what is too
// large for them; and back. What base/encodings and base/replay make of the same items is the
// truth.
//
// A plan is made for chunks that are treated alike, its image is copied to the device, and every
// call below enqueues one kernel (counting clears its counts before). A block of 256 threads takes
// 16 KiB of items; with a share there is one such block for each multiprocessor.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/encodings/cast.h"
#include "base/encodings/item_form.h"
#include "base/replay/replay.h"
#include "gpu/coded_memory.h"
#include "gpu/device.h"
#include "gpu/tile.h"

namespace cairn::gpu {

enum class Prediction : uint8_t {
  kItself,      ///< none: the residual is the item
  kDifference,  ///< a base of the same form; residuals are those of section 7.1
  kXor,         ///< the same; the residual is item XOR base
  kDerived,     ///< a base in another dtype, cast
  kReplay,      ///< what an optimizer's step makes of bases and gradient
};

enum class Coding : uint8_t {
  kPlanes,  ///< as ItemKernel::split makes them, block after block: as many bytes as the items
  kSparse,  ///< a bit for each item: set where it is not 0; these items, less 1, go to the slab
  kQuads,   ///< two bits for each, as ItemKernel::pack_quads; items above 2, less 3, to the slab
};

/// What a plan does to all its chunks.
struct Transform {
  Prediction prediction = Prediction::kItself;
  Coding coding = Coding::kPlanes;
  /// Of the items. Of kDerived and kReplay it must be what cast and programs make.
  ItemForm form;
  Cast cast = Cast::kF32ToBf16;                 ///< of kDerived
  std::vector<ReplayParameters> programs = {};  ///< of kReplay; their results are all of form.bytes
};

/// Items one after the other in device memory. All addresses are multiples of 16 bytes; no byte but
/// those of items is read or written, and only decode() writes items. What a call writes is no base
/// and no gradient of another chunk of its plan (of two chunks that are made from each other the
/// second takes a plan of its own), and chunks do not overlap.
struct TransformChunk {
  uint8_t* items = nullptr;
  uint64_t count = 0;  ///< of items, bases and gradients
  /// As many as the prediction takes. The base of kDifference and kXor may be `items` itself, where
  /// decode() then works in place.
  const uint8_t* bases[3] = {nullptr, nullptr, nullptr};
  uint8_t* gradient = nullptr;  ///< BF16, of rules that have one; find_gradients() writes it
  uint32_t program = 0;         ///< number in Transform::programs
  /// Where its planes or codes begin among the coded bytes, a multiple of 16; those of chunks do
  /// not overlap. Unset: behind those of all chunks before.
  std::optional<uint64_t> coded = {};
};

/// Threads: any, once made.
class TransformPlan {
 public:
  /// Errors: kUsage for a form that the prediction does not have, a rule or variant that is not
  /// known or has another number of scalars, memory or a place that is missing or not aligned,
  /// chunks of more than 2^50 bytes all together.
  static Result<TransformPlan> make(Transform transform, std::span<const TransformChunk> chunks);

  uint64_t chunks() const { return coded_offsets_.size(); }
  uint64_t items() const { return items_; }
  uint64_t tiles() const { return tiles_; }
  /// Items of each tile but the last of a chunk; tiles are numbered chunk by chunk.
  uint64_t tile_items() const;
  /// The number of the chunk's first tile.
  uint64_t first_tile(size_t chunk) const { return first_tiles_[chunk]; }
  /// Where the chunk's planes or codes begin among the coded bytes: a multiple of 16. Bits of codes
  /// beyond the last item are 0 up to a multiple of 4 bytes; then nothing is written.
  uint64_t coded_offset(size_t chunk) const { return coded_offsets_[chunk]; }
  uint64_t coded_bytes() const { return coded_bytes_; }
  /// An EscapedRun for each tile; none for planes.
  uint64_t runs_bytes() const;
  /// A slab that can not be too small.
  uint64_t slab_bytes_most() const;
  uint64_t counts_bytes() const { return sizeof(ChunkCounts) * chunks(); }
  /// What the device must know. To be copied there, to an address that is a multiple of 16.
  ByteSpan image() const { return image_; }
  /// How large that is of so many chunks, where no programs are.
  static uint64_t image_bytes(uint64_t chunks);

 private:
  friend class TransformEnqueuer;

  Status add(const TransformChunk& chunk, size_t number);
  void make_image(std::span<const TransformChunk> chunks);

  Transform transform_;
  uint64_t items_ = 0, tiles_ = 0, coded_bytes_ = 0;
  std::vector<uint64_t> first_tiles_, coded_offsets_;
  uint64_t programs_at_ = 0, first_tiles_at_ = 0;  ///< in the image, which begins with the chunks
  bool has_gradients_ = false;
  Bytes image_;
};

/// Lent for a call and all that it enqueues, each at a multiple of 16 bytes.
struct CodedSpans {
  DeviceSpan coded;  ///< coded_bytes(): planes or codes
  DeviceSpan runs;   ///< runs_bytes()
  DeviceSpan slab;   ///< of any size; several calls may fill it one after the other
  DeviceSpan state;  ///< a TransformState, which the caller sets to zeros before the first call
};

/// Items become planes, or codes, runs and slab. Of a tile that finds no room in the slab the codes
/// and the run are written and its larger items are not: TransformState::slab_bytes then exceeds
/// the slab. Which tile has which place in the slab differs from call to call.
/// Errors of all: kUsage when a span is too small or not aligned; kFailed.
Status encode(Stream stream, const TransformPlan& plan, DeviceSpan image, const CodedSpans& coded,
              Share share = {});

/// The inverse. Codes, runs and slab may hold anything: of tiles that do not fit together no item
/// is written, and TransformState::damaged is set. Nothing outside the spans is read.
Status decode(Stream stream, const TransformPlan& plan, DeviceSpan image, const CodedSpans& coded,
              Share share = {});

/// counts[i] = ChunkCounts of chunk i's residuals, whatever the coding.
Status count_residuals(Stream stream, const TransformPlan& plan, DeviceSpan image,
                       DeviceSpan counts, Share share = {});

/// Writes the gradients of chunks whose rule has one: those of find_gradient()
/// (base/replay/gradient.h) for the items. To be called before these are encoded.
Status find_gradients(Stream stream, const TransformPlan& plan, DeviceSpan image, Share share = {});

}  // namespace cairn::gpu
