// safetensors files, and folders of them or of PyTorch's .bin files as Hugging Face libraries write
// them, as the sources of a save.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/utf8.h"
#include "lib/formats/dcp_metadata.h"
#include "lib/formats/hugging_face_names.h"
#include "lib/formats/import_sources.h"
#include "lib/formats/safetensors.h"

namespace cairn {

using nlohmann::json;

static constexpr uint64_t kIndexBytesMax = 256 * kMiB;
// Where the pieces of cut tensors begin, in the __metadata__ of files that DCP's
// HuggingFaceStorageWriter made (torch/distributed/checkpoint/_hf_utils.py).
static constexpr const char* kShardingKey = "DCP_SHARDING_INFO";
static constexpr const char* kShardingVersionKey = "DCP_VERSION";

namespace {

class SafetensorsImporter {
 public:
  SafetensorsImporter(ImportSources& sources, const std::string& owner)
      : sources_(sources), owner_(owner) {}

  Status add(const std::string& path) {
    CAIRN_TRY(const ByteSpan bytes, sources_.map(path));
    CAIRN_TRY(SafetensorsHeader header, parse_safetensors(bytes, path));
    const auto told = header.metadata.find(kShardingKey);
    json sharding =
        told == header.metadata.end() ? json() : json::parse(told->second, nullptr, false);
    if (told != header.metadata.end()) {
      header.metadata.erase(told);
      header.metadata.erase(kShardingVersionKey);
    }
    for (const SafetensorsEntry& entry : header.tensors) {
      CAIRN_TRY(const auto offsets, offsets_of(sharding, entry, path));
      CAIRN_CHECK(claim(entry.name, path, !offsets.empty()));
      Box box = whole_box(entry.shape);
      if (!offsets.empty()) box.offsets = offsets;
      pieces_.push_back({entry.name, entry.dtype, std::move(box), bytes.data() + entry.begin});
    }
    sources_.add_metadata(header.metadata, path);
    return {};
  }

  Status finish() {
    std::map<std::string, Shape> shapes;
    std::vector<std::string> names;
    for (const Piece& piece : pieces_) {
      const auto [shape, fresh] = shapes.try_emplace(piece.name, piece.box.rank());
      if (fresh) names.push_back(piece.name);
      CAIRN_CHECK(stretch(shape->second, piece));
    }
    for (Piece& piece : pieces_) {
      TensorSource source;
      source.name = piece.name;
      source.dtype = piece.dtype;
      source.shape = shapes.at(piece.name);
      source.box = std::move(piece.box);
      source.data = piece.data;
      CAIRN_CHECK(sources_.add_tensor(std::move(source), owner_));
    }
    return sources_.add_state(flat_state(names), owner_);
  }

 private:
  struct Piece {
    std::string name;
    Dtype dtype;
    Box box;
    const uint8_t* data;
  };

  /// Pieces say where they are, and only all of them how large the tensor is.
  static Status stretch(Shape& shape, const Piece& piece) {
    if (shape.size() != piece.box.rank()) {
      return fail(Code::kUsage, fmt::format("pieces of '{}' have different ranks", piece.name));
    }
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const auto end = checked_add(piece.box.offsets[axis], piece.box.lengths[axis]);
      if (!end) {
        return fail(Code::kUsage, fmt::format("a piece of '{}' is out of bounds", piece.name));
      }
      shape[axis] = std::max(shape[axis], *end);
    }
    return {};
  }

  /// Empty for a whole tensor.
  static Result<std::vector<uint64_t>> offsets_of(const json& sharding,
                                                  const SafetensorsEntry& entry,
                                                  const std::string& path) {
    std::vector<uint64_t> offsets;
    if (sharding.is_null()) return offsets;
    const auto malformed = [&] {
      return fail(Code::kUsage, fmt::format("'{}' does not say where its piece of '{}' begins",
                                            path, shown(entry.name)));
    };
    if (!sharding.is_object() || !sharding.contains(entry.name)) return malformed();
    const json& about = sharding[entry.name];
    if (!about.is_object() || !about.contains("saved_offsets")) return malformed();
    const json& told = about["saved_offsets"];
    if (!told.is_array() || told.size() != entry.shape.size()) return malformed();
    for (const json& offset : told) {
      if (!offset.is_number_unsigned()) return malformed();
      offsets.push_back(offset.get<uint64_t>());
    }
    return offsets;
  }

  /// Pieces may be in many files, whole tensors in one.
  Status claim(const std::string& name, const std::string& path, bool is_piece) {
    const auto [at, fresh] = paths_.try_emplace(name, path);
    if (fresh || is_piece) return {};
    return fail(Code::kUsage,
                fmt::format("the tensor '{}' is in '{}' and in '{}'", name, at->second, path));
  }

  ImportSources& sources_;
  const std::string& owner_;
  std::map<std::string, std::string> paths_;
  std::vector<Piece> pieces_;
};

}  // namespace

Status add_safetensors(ImportSources& sources, const std::vector<std::string>& paths,
                       const std::string& owner) {
  SafetensorsImporter importer(sources, owner);
  for (const std::string& path : paths) CAIRN_CHECK(importer.add(path));
  return importer.finish();
}

/// The files that an index names. What else it says is kept for the index that an export makes.
static Status read_index(ImportSources& sources, const std::string& path,
                         std::set<std::string>& shards) {
  CAIRN_TRY(const Bytes text, read_file(sources.fs(), path, kIndexBytesMax));
  const json index = json::parse(text.begin(), text.end(), nullptr, false);
  const auto malformed = [&] {
    return fail(Code::kUsage, fmt::format("'{}' is no index of files of tensors", path));
  };
  if (!index.is_object() || !index.contains("weight_map")) return malformed();
  const json& map = index["weight_map"];
  if (!map.is_object()) return malformed();
  for (const json& shard : map) {
    if (!shard.is_string()) return malformed();
    const auto name = shard.get<std::string>();
    if (name.empty() || name.find('/') != std::string::npos) return malformed();
    shards.insert(name);
  }
  json about = index.value("metadata", json::object());
  if (!about.is_object()) return malformed();
  about.erase("total_size");
  if (!about.empty()) sources.add_own_text(kIndexMetadataName, about.dump());
  return {};
}

static bool has_file(const std::vector<FolderEntry>& entries, std::string_view name) {
  return std::any_of(entries.begin(), entries.end(), [&](const FolderEntry& entry) {
    return entry.name == name && !entry.is_folder;
  });
}

static bool is_safetensors(const FolderEntry& entry) {
  return entry.is_file && entry.name.ends_with(kSafetensorsSuffix);
}

/// Older models, which have no safetensors.
static Status add_bin_files(ImportSources& sources, const std::string& folder,
                            const std::vector<FolderEntry>& entries) {
  std::set<std::string> shards;
  const bool has_index = has_file(entries, kBinIndexName);
  if (has_index) {
    CAIRN_CHECK(read_index(sources, join_path(folder, std::string(kBinIndexName)), shards));
  } else if (has_file(entries, kBinName)) {
    shards.emplace(kBinName);
  }
  for (const std::string& shard : shards) CAIRN_CHECK(add_torch(sources, join_path(folder, shard)));
  return add_other_files(sources, folder, entries, [&](const std::string& name) {
    return shards.contains(name) || name == kBinIndexName;
  });
}

/// DCP writes `.metadata` last.
static Status refuse_unfinished(const std::string& folder,
                                const std::vector<FolderEntry>& entries) {
  const bool is_dcp = std::any_of(entries.begin(), entries.end(), [](const FolderEntry& entry) {
    return entry.name.ends_with(kDcpSuffix);
  });
  if (!is_dcp) return {};
  return fail(Code::kNotFound,
              fmt::format("'{}' has files of torch.distributed.checkpoint and no '{}'", folder,
                          kDcpMetadataName),
              "the save that wrote them was not finished, or a copy of them");
}

Status add_hugging_face(ImportSources& sources, const std::string& folder) {
  CAIRN_TRY(const auto entries, sources.fs().list(folder));
  const bool has_index = has_file(entries, kModelIndexName);
  if (!has_index && std::none_of(entries.begin(), entries.end(), is_safetensors)) {
    CAIRN_CHECK(refuse_unfinished(folder, entries));
    return add_bin_files(sources, folder, entries);
  }
  std::set<std::string> shards;
  if (has_index) {
    CAIRN_CHECK(read_index(sources, join_path(folder, std::string(kModelIndexName)), shards));
  }
  for (const FolderEntry& entry : entries) {
    if (!is_safetensors(entry)) continue;
    if (!has_index) {
      shards.insert(entry.name);
    } else if (!shards.contains(entry.name)) {
      sources.warn(
          fmt::format("'{}' is not in the index and passed over", join_path(folder, entry.name)));
    }
  }
  CAIRN_CHECK(add_other_files(sources, folder, entries, [](const std::string& name) {
    return name == kModelIndexName || name.ends_with(kSafetensorsSuffix);
  }));
  std::vector<std::string> paths;
  for (const std::string& shard : shards) paths.push_back(join_path(folder, shard));
  return add_safetensors(sources, paths, folder);
}

}  // namespace cairn
