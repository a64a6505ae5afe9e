#include "lib/import_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/safetensors.h"

namespace cairn {

using nlohmann::json;

static constexpr std::string_view kSafetensors = ".safetensors";
static constexpr std::string_view kIndexName = "model.safetensors.index.json";
static constexpr uint64_t kIndexBytesMax = 256 * kMiB;

namespace {

class Importer {
 public:
  Importer(Fs& fs, ImportFiles& files) : fs_(fs), files_(files) {}

  Status add(const std::string& path) {
    CAIRN_TRY(const FileInfo info, fs_.info(path));
    return info.is_folder ? add_folder(path) : add_safetensors(path);
  }

 private:
  Status add_safetensors(const std::string& path) {
    CAIRN_TRY(MappedFile mapped, MappedFile::open(path));
    const ByteSpan bytes = files_.mapped.emplace_back(std::move(mapped)).bytes();
    CAIRN_TRY(const SafetensorsHeader header, parse_safetensors(bytes, path));
    for (const SafetensorsEntry& entry : header.tensors) {
      const auto [at, fresh] = tensor_files_.try_emplace(entry.name, path);
      if (!fresh) {
        return fail(Code::kUsage, fmt::format("the tensor '{}' is in '{}' and in '{}'", entry.name,
                                              at->second, path));
      }
      TensorSource source;
      source.name = entry.name;
      source.dtype = entry.dtype;
      source.shape = entry.shape;
      source.box = whole_box(entry.shape);
      source.data = bytes.data() + entry.begin;
      files_.tensors.push_back(std::move(source));
    }
    for (const auto& [key, value] : header.metadata) {
      const auto [at, fresh] = files_.file_metadata.try_emplace(key, value);
      if (fresh || at->second == value) continue;
      files_.warnings.push_back(
          fmt::format("'{}' says {}={} in its __metadata__; the first file's {} is kept", path, key,
                      value, at->second));
    }
    return {};
  }

  Status add_folder(const std::string& folder) {
    CAIRN_TRY(const auto entries, fs_.list(folder));
    std::set<std::string> shards;
    const bool has_index = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
      return entry.name == kIndexName && !entry.is_folder;
    });
    if (has_index) CAIRN_CHECK(read_index(join_path(folder, std::string(kIndexName)), shards));
    for (const FolderEntry& entry : entries) {
      const std::string path = join_path(folder, entry.name);
      if (entry.is_folder) {
        files_.warnings.push_back(fmt::format("the folder '{}' is passed over", path));
      } else if (!entry.is_file) {
        files_.warnings.push_back(fmt::format("'{}' is no file and passed over", path));
      } else if (!entry.name.ends_with(kSafetensors)) {
        if (entry.name != kIndexName) CAIRN_CHECK(add_attachment(files_, entry.name, path));
      } else if (!has_index) {
        shards.insert(entry.name);
      } else if (!shards.contains(entry.name)) {
        files_.warnings.push_back(fmt::format("'{}' is not in the index and passed over", path));
      }
    }
    for (const std::string& shard : shards) CAIRN_CHECK(add_safetensors(join_path(folder, shard)));
    return {};
  }

  Status read_index(const std::string& path, std::set<std::string>& shards) {
    CAIRN_TRY(const Bytes text, read_file(fs_, path, kIndexBytesMax));
    const json index = json::parse(text.begin(), text.end(), nullptr, false);
    const auto malformed = [&] {
      return fail(Code::kUsage, fmt::format("'{}' is no index of safetensors files", path));
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
    return {};
  }

  Fs& fs_;
  ImportFiles& files_;
  std::map<std::string, std::string> tensor_files_;
};

}  // namespace

Status add_attachment(ImportFiles& files, const std::string& name, const std::string& path) {
  CAIRN_TRY(MappedFile mapped, MappedFile::open(path));
  files.attachments.push_back({name, files.mapped.emplace_back(std::move(mapped)).bytes()});
  return {};
}

Status check_unchanged(const ImportFiles& files) {
  for (const MappedFile& file : files.mapped) CAIRN_CHECK(file.check_unchanged());
  return {};
}

Result<ImportFiles> open_import(Fs& fs, const std::vector<std::string>& paths) {
  ImportFiles files;
  Importer importer(fs, files);
  for (const std::string& path : paths) CAIRN_CHECK(importer.add(path));
  if (files.tensors.empty()) {
    return fail(Code::kUsage, fmt::format("there are no tensors in '{}'", fmt::join(paths, "', '")),
                "name .safetensors files, or a folder with some");
  }
  return files;
}

}  // namespace cairn
