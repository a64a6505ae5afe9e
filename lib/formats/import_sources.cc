#include "lib/formats/import_sources.h"

#include <fmt/format.h>

#include "lib/formats/state_pickle.h"

namespace cairn {

Result<ByteSpan> ImportSources::map(const std::string& path) {
  CAIRN_TRY(MappedFile mapped, MappedFile::open(path));
  return files_.mapped.emplace_back(std::move(mapped)).bytes();
}

Status ImportSources::add_tensor(TensorSource source, const std::string& owner) {
  const auto [at, fresh] = owners_.try_emplace(source.name, owner);
  if (!fresh && at->second != owner) {
    return fail(
        Code::kUsage,
        fmt::format("the tensor '{}' is in '{}' and in '{}'", source.name, at->second, owner),
        "files of several ranks are one folder with '--layout'");
  }
  files_.tensors.push_back(std::move(source));
  return {};
}

Status ImportSources::add_tensor(const std::string& name, const TorchTensor& tensor,
                                 const Shape& shape, Box box, const std::string& owner) {
  TensorSource source;
  source.name = name;
  source.dtype = tensor.dtype;
  source.shape = shape;
  source.box = std::move(box);
  source.data = tensor.data;
  if (tensor.strides_bytes !=
      contiguous_strides(tensor.shape, bits_per_element(tensor.dtype) / 8)) {
    source.strides_bytes = tensor.strides_bytes;
  }
  return add_tensor(std::move(source), owner);
}

void ImportSources::add_metadata(const Metadata& metadata, const std::string& path) {
  for (const auto& [key, value] : metadata) {
    const auto [at, fresh] = files_.file_metadata.try_emplace(key, value);
    if (fresh || at->second == value) continue;
    warn(fmt::format("'{}' says {}={} in its __metadata__; the first file's {} is kept", path, key,
                     value, at->second));
  }
}

Status ImportSources::add_file(const std::string& name, const std::string& path) {
  return add_attachment(files_, name, path);
}

void ImportSources::add_bytes(const std::string& name, ByteSpan bytes) {
  files_.attachments.push_back({name, bytes});
}

void ImportSources::add_own_bytes(const std::string& name, Bytes bytes) {
  add_bytes(name, files_.owned.emplace_back(std::move(bytes)));
}

void ImportSources::add_own_text(std::string_view name, std::string_view text) {
  const ByteSpan bytes = as_bytes(text);
  add_own_bytes(std::string(name), Bytes(bytes.begin(), bytes.end()));
}

Status ImportSources::add_state(StateNode root, const std::string& owner) {
  for (auto& [key, child] : root.children) {
    if (!keys_.insert(key).second) {
      return fail(Code::kUsage, fmt::format("'{}' of '{}' is in another of the files too",
                                            name_below("", key), owner));
    }
    root_.children.emplace_back(std::move(key), std::move(child));
  }
  ++states_;
  return {};
}

void ImportSources::add_pickles(Bytes torch, Bytes objects) {
  torch_ = std::move(torch);
  if (!objects.empty()) objects_.push_back(std::move(objects));
}

Status ImportSources::merge_objects() {
  if (objects_.empty()) return {};
  PickleGraph graph;
  std::map<std::string, PickleId> all;  // the first of a name counts, as in add_ranks()
  for (const Bytes& objects : objects_) {
    CAIRN_TRY(auto found, read_objects(graph, objects));
    all.merge(found);
  }
  std::vector<PickleId> pairs;
  for (const auto& [name, object] : all) {
    pairs.push_back(graph.text(name));
    pairs.push_back(object);
  }
  CAIRN_TRY(Bytes merged, write_pickle(graph, graph.dict(std::move(pairs))));
  add_own_bytes(std::string(kObjectsName), std::move(merged));
  return {};
}

Status ImportSources::finish() {
  std::set<std::string> names;
  Status status;
  each_leaf(root_, [&](const StateNode& leaf) {
    if (status && !names.insert(leaf.name).second) {
      status =
          fail(Code::kUsage,
               fmt::format("two values of the files are called '{}' when keys are joined with '.'",
                           leaf.name),
               "import them as tags of their own");
    }
  });
  CAIRN_CHECK(status);
  if (!is_flat(root_)) {
    add_own_text(kStructureName, structure_text(root_));
    add_own_text(kValuesName, values_text(root_));
  }
  CAIRN_CHECK(merge_objects());
  // With other files beside it, it is not what the file said.
  const bool is_whole = states_ == 1;
  if (is_whole && !torch_.empty()) add_own_bytes(std::string(kTorchName), std::move(torch_));
  return {};
}

Status add_other_files(ImportSources& sources, const std::string& folder,
                       const std::vector<FolderEntry>& entries,
                       const std::function<bool(const std::string&)>& is_taken) {
  for (const FolderEntry& entry : entries) {
    const std::string path = join_path(folder, entry.name);
    if (entry.is_folder) {
      sources.warn(fmt::format("the folder '{}' is passed over", path));
    } else if (!entry.is_file) {
      sources.warn(fmt::format("'{}' is no file and passed over", path));
    } else if (is_state_attachment(entry.name)) {
      sources.warn(
          fmt::format("'{}' is called like what Cairn keeps of a state, and passed over", path));
    } else if (!is_taken(entry.name)) {
      CAIRN_CHECK(sources.add_file(entry.name, path));
    }
  }
  return {};
}

}  // namespace cairn
