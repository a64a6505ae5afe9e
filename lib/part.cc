#include "lib/part.h"

#include <fmt/format.h>

#include <charconv>

#include "lib/tripwires.h"
#include "store/wire.h"

namespace cairn {

static constexpr uint32_t kVersion = 1;
enum Content : uint8_t { kDigest = 0, kBytes = 1 };

static void append_blob(Bytes& bytes, ByteSpan blob) {
  append_le(bytes, static_cast<uint64_t>(blob.size()));
  append_bytes(bytes, blob);
}

static ByteSpan take_blob(WireReader& reader) { return reader.take_bytes(reader.take<uint64_t>()); }

static void append_unit(Bytes& bytes, const PartUnit& unit) {
  append_le(bytes, unit.item);
  append_le(bytes, unit.chunk);
  append_le(bytes, static_cast<uint8_t>(unit.piece ? unit.piece->rank() : 0));
  append_le<uint8_t>(bytes, unit.piece.has_value() ? 1 : 0);
  append_le<uint8_t>(bytes, unit.is_renewed ? 1 : 0);
  append_le<uint8_t>(bytes, unit.is_stored() ? kDigest : kBytes);
  if (unit.piece) {
    for (const uint64_t offset : unit.piece->offsets) append_le(bytes, offset);
    for (const uint64_t length : unit.piece->lengths) append_le(bytes, length);
  }
  if (const auto* digest = std::get_if<Digest>(&unit.content)) {
    append_digest(bytes, *digest);
  } else {
    const Bytes& content = std::get<Bytes>(unit.content);
    append_le(bytes, static_cast<uint16_t>(content.size()));
    append_bytes(bytes, content);
  }
}

static PartUnit take_unit(WireReader& reader) {
  PartUnit unit;
  unit.item = reader.take<uint32_t>();
  unit.chunk = reader.take<uint64_t>();
  const auto rank = reader.take<uint8_t>();
  const auto is_piece = reader.take<uint8_t>();
  const auto is_renewed = reader.take<uint8_t>();
  unit.is_renewed = is_renewed == 1;
  const auto content = reader.take<uint8_t>();
  const bool is_good = rank <= kRankMax && is_piece <= 1 && (is_piece == 1 || rank == 0) &&
                       is_renewed <= 1 && content <= kBytes;
  if (!is_good) reader.reject("has a malformed unit");
  if (is_piece == 1 && reader.ok()) {
    unit.piece.emplace();
    for (auto* numbers : {&unit.piece->offsets, &unit.piece->lengths}) {
      for (uint8_t axis = 0; axis < rank; ++axis) numbers->push_back(reader.take<uint64_t>());
    }
  }
  if (content == kDigest) {
    unit.content = reader.take_digest();
  } else {
    const ByteSpan bytes = reader.take_bytes(reader.take<uint16_t>());
    if (bytes.size() > kInlineBytesMax) reader.reject("has more bytes than lie in a page");
    unit.content = Bytes(bytes.begin(), bytes.end());
  }
  return unit;
}

static Manifest told_manifest(const Part& part) {
  Manifest told{part.step, {}, {}, {}, part.attachments, {}};
  record_warnings(part.warnings, told.metadata);
  return told;
}

Bytes encode_part(const Part& part) {
  Bytes bytes;
  append_bytes(bytes, as_bytes("PART"));
  append_le(bytes, kVersion);
  append_bytes(bytes, part.session.bytes);
  append_string16(bytes, part.tag);
  append_string16(bytes, part.base ? part.base->tag : "");
  append_digest(bytes, part.base ? part.base->manifest : Digest{});
  append_le(bytes, part.stored_bytes);
  append_le(bytes, part.unread_chunks);
  append_le(bytes, part.weights_age);
  append_blob(bytes, encode_manifest(told_manifest(part)));
  append_blob(bytes, encode_schema(part.schema));
  append_blob(bytes, encode_layout(part.layout, part.schema));
  append_blob(bytes, encode_locator(part.copies));
  append_le(bytes, static_cast<uint64_t>(part.units.size()));
  for (const PartUnit& unit : part.units) append_unit(bytes, unit);
  return bytes;
}

/// That units name items and copies there are, in order: other code indexes by these numbers.
static Status check_numbers(const Part& part) {
  const auto bad = [](std::string_view why) {
    return fail(Code::kCorrupt, fmt::format("a part of a save is damaged: {}", why));
  };
  const auto place = [](const PartUnit& unit) { return std::pair(unit.item, unit.chunk); };
  const size_t tensors = part.schema.tensors.size();
  size_t stored = 0;
  for (size_t i = 0; i < part.units.size(); ++i) {
    const PartUnit& unit = part.units[i];
    if (unit.item >= tensors + part.attachments.size()) return bad("it has a unit of nothing");
    if (unit.item >= tensors && unit.piece) return bad("it has a piece of an attachment");
    if (i > 0 && place(unit) < place(part.units[i - 1])) return bad("its units are in no order");
    stored += unit.is_stored() ? 1 : 0;
  }
  if (stored != part.copies.copies.size()) return bad("its copies are not those of its units");
  for (const Copy& copy : part.copies.copies) {
    for (const BaseRef& base : copy.bases) {
      const bool is_own = base.page == kOwnUnits;
      if (is_own && (base.slot >= part.units.size() || !part.units[base.slot].is_stored())) {
        return bad("a copy is made from a unit that it has not stored");
      }
    }
  }
  for (const TensorInfo& tensor : part.schema.tensors) {
    if (bits_per_element(static_cast<Dtype>(tensor.dtype)) == 0) {
      return bad("it has a tensor of an unknown dtype");
    }
  }
  return {};
}

Result<Part> decode_part(ByteSpan bytes) {
  WireReader reader(bytes, "a part of a save");
  reader.expect("PART");
  reader.expect_version(kVersion);
  Part part;
  const ByteSpan session = reader.take_bytes(part.session.bytes.size());
  if (reader.ok()) std::copy(session.begin(), session.end(), part.session.bytes.begin());
  part.tag = reader.take_string16();
  std::string base = reader.take_string16();
  const Digest manifest_of_base = reader.take_digest();
  if (!base.empty()) part.base = PartBase{std::move(base), manifest_of_base};
  part.stored_bytes = reader.take<uint64_t>();
  part.unread_chunks = reader.take<uint64_t>();
  part.weights_age = reader.take<uint32_t>();
  const ByteSpan manifest = take_blob(reader), schema = take_blob(reader);
  const ByteSpan layout = take_blob(reader), copies = take_blob(reader);
  static constexpr uint64_t kUnitBytesMin = 18;
  part.units.resize(reader.take_count(reader.take<uint64_t>(), kUnitBytesMin));
  for (PartUnit& unit : part.units) unit = take_unit(reader);
  CAIRN_CHECK(reader.finish());
  CAIRN_TRY(Manifest told, decode_manifest(manifest));
  part.step = told.step;
  part.attachments = std::move(told.attachments);
  part.warnings = recorded_warnings(told.metadata);
  CAIRN_TRY(part.schema, decode_schema(schema));
  CAIRN_TRY(part.layout, decode_layout(layout, part.schema));
  CAIRN_TRY(part.copies, decode_locator(copies));
  CAIRN_CHECK(check_numbers(part));
  return part;
}

std::vector<TensorSource> sources_of(const Part& part) {
  std::vector<TensorSource> sources;
  for (size_t i = 0; i < part.schema.tensors.size(); ++i) {
    const TensorInfo& info = part.schema.tensors[i];
    const TensorLayout& layout = part.layout.tensors[i];
    for (const LayoutBox& box : layout.boxes) {
      TensorSource& source = sources.emplace_back();
      source.name = info.name;
      source.dtype = static_cast<Dtype>(info.dtype);
      source.shape = info.shape;
      source.box = {box.offsets, box.lengths};
      source.writer = box.writer;
      source.role = layout.role;
      source.parameter = layout.parameter;
    }
  }
  return sources;
}

std::string part_name(const Reference& part) {
  return fmt::format("{}:{}:{}:{}", part.file.name(), part.offset, part.bytes, part.digest.hex());
}

static bool take_number(std::string_view& text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto taken = static_cast<size_t>(end - text.data());
  if (error != std::errc() || taken >= text.size() || text[taken] != ':') return false;
  text.remove_prefix(taken + 1);
  return true;
}

Result<Reference> parse_part_name(std::string_view name) {
  const auto bad = fail(Code::kUsage, fmt::format("'{}' is no name of a part of a save", name));
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos) return bad;
  const auto file = FileId::parse(name.substr(0, colon));
  std::string_view rest = name.substr(colon + 1);
  Reference part;
  const bool is_good = file && take_number(rest, part.offset) && take_number(rest, part.bytes) &&
                       part.digest.parse(rest);
  if (!is_good) return bad;
  part.file = *file;
  return part;
}

}  // namespace cairn
