#include "store/manifest.h"

#include "store/wire.h"

namespace cairn {

/// The second one tells how attachments are cut; a manifest without any is of the first.
enum Version : uint32_t { kPlain = 1, kTellsEdges = 2 };
static constexpr uint32_t kHasStep = 1;
enum Section : uint8_t { kUser = 0, kFile = 1 };

static void append_section(Bytes& bytes, Section section, const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    append_le<uint8_t>(bytes, section);
    append_string32(bytes, key);
    append_string32(bytes, value);
  }
}

static bool tells_edges(const Manifest& manifest) {
  return !manifest.attachments.empty() && manifest.attachments.front().edges.are_told();
}

static void append_edges(Bytes& bytes, const ChunkEdges& edges) {
  append_le(bytes, edges.count());
  for (uint64_t chunk = 0; chunk < edges.count(); ++chunk) {
    append_le(bytes, static_cast<uint32_t>(edges.length(chunk)));
  }
}

static ChunkEdges take_edges(WireReader& reader, uint64_t bytes) {
  std::vector<uint64_t> ends(reader.take_count(reader.take<uint64_t>(), sizeof(uint32_t)));
  uint64_t end = 0;
  for (uint64_t& each : ends) {
    const auto length = reader.take<uint32_t>();
    if (length == 0) reader.reject("has an attachment with an empty chunk");
    each = end += length;
  }
  if (end != bytes) reader.reject("has an attachment that its chunks do not make up");
  return ChunkEdges::told(std::move(ends));
}

Bytes encode_manifest(const Manifest& manifest) {
  Bytes bytes;
  append_bytes(bytes, as_bytes("MANI"));
  append_le<uint32_t>(bytes, tells_edges(manifest) ? kTellsEdges : kPlain);
  append_le<uint32_t>(bytes, manifest.step ? kHasStep : 0);
  for (const size_t count : {manifest.metadata.size() + manifest.file_metadata.size(),
                             manifest.attachments.size(), manifest.pages.size()}) {
    append_le(bytes, static_cast<uint32_t>(count));
  }
  append_le(bytes, manifest.step.value_or(0));
  append_digest(bytes, manifest.schema);
  append_section(bytes, kUser, manifest.metadata);
  append_section(bytes, kFile, manifest.file_metadata);
  for (const AttachmentInfo& attachment : manifest.attachments) {
    append_string16(bytes, attachment.name);
    append_le(bytes, attachment.bytes);
    if (tells_edges(manifest)) append_edges(bytes, attachment.edges);
  }
  for (const Digest& page : manifest.pages) append_digest(bytes, page);
  return bytes;
}

Result<Manifest> decode_manifest(ByteSpan bytes) {
  WireReader reader(bytes, "a manifest");
  reader.expect("MANI");
  const uint32_t version = reader.take_version(kPlain, kTellsEdges);
  const auto flags = reader.take<uint32_t>();
  if (flags > kHasStep) reader.reject("has unknown flags");
  const auto metadata_count = reader.take<uint32_t>();
  const auto attachment_count = reader.take<uint32_t>();
  const auto page_count = reader.take<uint32_t>();
  const auto step = reader.take<int64_t>();
  Manifest manifest;
  if (flags & kHasStep) manifest.step = step;
  manifest.schema = reader.take_digest();
  for (uint32_t i = 0; i < metadata_count && reader.ok(); ++i) {
    const auto section = reader.take<uint8_t>();
    if (section > kFile) reader.reject("has metadata of an unknown section");
    std::string key = reader.take_string32();
    (section == kUser ? manifest.metadata : manifest.file_metadata)[std::move(key)] =
        reader.take_string32();
  }
  if (version == kTellsEdges && attachment_count == 0) reader.reject("tells how nothing is cut");
  manifest.attachments.resize(reader.take_count(attachment_count, 10));
  for (size_t i = 0; i < manifest.attachments.size() && reader.ok(); ++i) {
    AttachmentInfo& attachment = manifest.attachments[i];
    attachment.name = reader.take_string16();
    attachment.bytes = reader.take<uint64_t>();
    if (version == kTellsEdges) attachment.edges = take_edges(reader, attachment.bytes);
    if (i > 0 && attachment.name <= manifest.attachments[i - 1].name) {
      reader.reject("does not list its attachments in order");
    }
  }
  manifest.pages.resize(reader.take_count(page_count, 32));
  for (Digest& page : manifest.pages) page = reader.take_digest();
  CAIRN_CHECK(reader.finish());
  return manifest;
}

}  // namespace cairn
