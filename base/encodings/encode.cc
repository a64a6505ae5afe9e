#include "base/encodings/encode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/encodings/block_scratch.h"

namespace cairn {

/// Calls for each block with the offset and the length of its items. Stops at an error.
template <class Call>
static Status for_each_block(size_t bytes, unsigned item_bytes, const Call& call) {
  const size_t block_bytes = kBlockItems * item_bytes;
  for (size_t at = 0; at < bytes; at += block_bytes) {
    CAIRN_CHECK(call(at, std::min(block_bytes, bytes - at)));
  }
  return {};
}

static bool is_sparse(BlockForm form) {
  return form == BlockForm::kSame || form == BlockForm::kGaps || form == BlockForm::kBits;
}

Encoded encode_planes(ByteSpan items, ItemForm form, Effort effort) {
  Encoded encoded = {Encoding::kPlanes, {encode_item_form(form)}, {}};
  encoded.stored.reserve(items.size());  // memory that is not written to costs nothing
  (void)for_each_block(items.size(), form.bytes, [&](size_t at, size_t bytes) -> Status {
    append_items(items.subspan(at, bytes), form.bytes, effort, encoded.stored);
    return {};
  });
  return encoded;
}

Encoded encode_delta(ByteSpan items, ByteSpan base, ItemForm form, Effort effort) {
  Encoded encoded = {Encoding::kSparse, {encode_item_form(form)}, {}};
  (void)for_each_block(items.size(), form.bytes, [&](size_t at, size_t bytes) -> Status {
    const BlockForm block = append_residuals(items.subspan(at, bytes), base.subspan(at, bytes),
                                             form, effort, encoded.stored);
    if (!is_sparse(block)) encoded.encoding = Encoding::kDelta;
    return {};
  });
  return encoded;
}

static ItemForm target_form(Cast cast) { return {static_cast<uint8_t>(target_bytes(cast)), true}; }

/// `first` and the prediction's length are in items of the target.
static void predict_by_cast(Cast cast, ByteSpan base, size_t first, MutableBytes prediction) {
  const size_t count = prediction.size() / target_bytes(cast);
  cast_items(cast, base.subspan(first * source_bytes(cast), count * source_bytes(cast)),
             prediction);
}

Encoded encode_derived(ByteSpan items, ByteSpan base, Cast cast, Effort effort) {
  const ItemForm form = target_form(cast);
  Encoded encoded = {Encoding::kDerived, {encode_item_form(form), static_cast<uint8_t>(cast)}, {}};
  append_corrections(
      items,
      [&](size_t first, MutableBytes prediction) {
        predict_by_cast(cast, base, first, prediction);
      },
      form, effort, encoded.stored);
  return encoded;
}

void append_corrections(ByteSpan items, const Predict& predict, ItemForm form, Effort effort,
                        Bytes& stored, bool* all_sparse) {
  BlockRoom& room = block_scratch().prediction;
  bool is_all_sparse = true;
  (void)for_each_block(items.size(), form.bytes, [&](size_t at, size_t bytes) -> Status {
    const MutableBytes prediction = {room.for_items(bytes / form.bytes, form.bytes), bytes};
    predict(at / form.bytes, prediction);
    is_all_sparse &=
        is_sparse(append_residuals(items.subspan(at, bytes), prediction, form, effort, stored));
    return {};
  });
  if (all_sparse != nullptr) *all_sparse = is_all_sparse;
}

void apply_residuals(ByteSpan residuals, ItemForm form, MutableBytes items) {
  item_kernel().correct(residuals.data(), items.size() / form.bytes, form.bytes, form.is_float,
                        items.data());
}

static Status expect_end(ByteSpan stored) {
  if (stored.empty()) return {};
  return fail(Code::kCorrupt, fmt::format("{} bytes follow the last block", stored.size()));
}

/// Any prediction, called without std::function.
template <class Call>
static Status read_blocks(ByteSpan stored, const Call& predict, ItemForm form, MutableBytes out,
                          bool only_sparse) {
  const Status done =
      for_each_block(out.size(), form.bytes, [&](size_t at, size_t bytes) -> Status {
        const MutableBytes items = out.subspan(at, bytes);
        predict(at / form.bytes, items);
        BlockForm met{};
        CAIRN_CHECK(correct_items(stored, form, items, met));
        if (only_sparse && !is_sparse(met)) {
          return fail(Code::kCorrupt, "a sparse encoding with a block that is not");
        }
        return {};
      });
  return done ? expect_end(stored) : done;
}

Status read_corrections(ByteSpan stored, const Predict& predict, ItemForm form, MutableBytes out,
                        bool only_sparse) {
  return read_blocks(stored, predict, form, out, only_sparse);
}

/// The first parameter byte, with a look at the number of parameters and at what it makes of `out`.
static Result<ItemForm> read_item_form(ByteSpan parameters, size_t expected, size_t out_bytes) {
  if (parameters.empty()) return fail(Code::kCorrupt, "an encoding without its parameters");
  const auto form = decode_item_form(parameters[0]);
  if (!form) {
    return fail(Code::kNewerFormat,
                fmt::format("the item form {} is not known to this version", parameters[0]),
                "use a newer cairn");
  }
  if (parameters.size() != expected) {
    return fail(Code::kCorrupt,
                fmt::format("{} parameter bytes instead of {}", parameters.size(), expected));
  }
  if (out_bytes % form->bytes != 0) {
    return fail(Code::kCorrupt,
                fmt::format("{} bytes are not items of {}", out_bytes, form->bytes));
  }
  return *form;
}

static Status expect_base(ByteSpan base, size_t bytes) {
  if (base.size() == bytes) return {};
  return fail(Code::kCorrupt, fmt::format("a base of {} bytes instead of {}", base.size(), bytes));
}

Status decode_planes(ByteSpan parameters, ByteSpan stored, MutableBytes out) {
  CAIRN_TRY(const ItemForm form, read_item_form(parameters, 1, out.size()));
  CAIRN_CHECK(for_each_block(out.size(), form.bytes, [&](size_t at, size_t bytes) {
    return read_items(stored, form.bytes, out.subspan(at, bytes));
  }));
  return expect_end(stored);
}

Status decode_to_planes(ByteSpan parameters, ByteSpan stored, MutableBytes out) {
  CAIRN_TRY(const ItemForm form, read_item_form(parameters, 1, out.size()));
  CAIRN_CHECK(for_each_block(out.size(), form.bytes, [&](size_t at, size_t bytes) {
    return read_item_planes(stored, form.bytes, out.subspan(at, bytes));
  }));
  return expect_end(stored);
}

void join_planes(ByteSpan planes, unsigned item_bytes, MutableBytes items) {
  (void)for_each_block(items.size(), item_bytes, [&](size_t at, size_t bytes) -> Status {
    const size_t count = bytes / item_bytes;
    std::array<const uint8_t*, 8> of_block{};
    for (unsigned plane = 0; plane < item_bytes; ++plane) {
      of_block[plane] = planes.data() + at + plane * count;
    }
    item_kernel().join(of_block.data(), count, item_bytes, items.data() + at);
    return {};
  });
}

Status decode_delta(Encoding encoding, ByteSpan parameters, ByteSpan stored, ByteSpan base,
                    MutableBytes out) {
  CAIRN_TRY(const ItemForm form, read_item_form(parameters, 1, out.size()));
  CAIRN_CHECK(expect_base(base, out.size()));
  const auto copy = [&](size_t first, MutableBytes items) {
    const uint8_t* const of_base = base.data() + first * form.bytes;
    if (of_base != items.data()) std::memcpy(items.data(), of_base, items.size());
  };
  return read_blocks(stored, copy, form, out, encoding == Encoding::kSparse);
}

Result<Cast> read_cast(ByteSpan parameters, size_t bytes, size_t base_bytes) {
  CAIRN_TRY(const ItemForm form, read_item_form(parameters, 2, bytes));
  const auto cast = static_cast<Cast>(parameters[1]);
  if (!is_known(cast)) {
    return fail(Code::kNewerFormat,
                fmt::format("the cast {} is not known to this version", parameters[1]),
                "use a newer cairn");
  }
  if (form != target_form(cast)) {
    return fail(Code::kCorrupt, "a cast to items of another form");
  }
  const size_t wanted = bytes / target_bytes(cast) * source_bytes(cast);
  if (base_bytes == wanted) return cast;
  return fail(Code::kCorrupt, fmt::format("a base of {} bytes instead of {}", base_bytes, wanted));
}

Status decode_derived(ByteSpan parameters, ByteSpan stored, ByteSpan base, MutableBytes out) {
  CAIRN_TRY(const Cast cast, read_cast(parameters, out.size(), base.size()));
  const auto predict = [&](size_t first, MutableBytes items) {
    predict_by_cast(cast, base, first, items);
  };
  return read_blocks(stored, predict, target_form(cast), out, false);
}

bool are_as_predicted(ByteSpan stored, size_t items) {
  static_assert(static_cast<uint8_t>(BlockForm::kSame) == 0);
  return stored.size() == ceil_div(items, kBlockItems) && is_zero(stored);
}

Result<bool> read_residuals(ByteSpan stored, ItemForm form, MutableBytes residuals) {
  bool is_read = true;
  CAIRN_CHECK(for_each_block(residuals.size(), form.bytes, [&](size_t at, size_t bytes) -> Status {
    is_read = is_read && !needs_prediction(stored);
    return is_read ? read_items(stored, form.bytes, residuals.subspan(at, bytes)) : Status();
  }));
  if (is_read) CAIRN_CHECK(expect_end(stored));
  return is_read;
}

}  // namespace cairn
