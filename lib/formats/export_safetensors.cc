// safetensors files, and folders of them.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "lib/formats/dcp_metadata.h"
#include "lib/formats/export_folder.h"
#include "lib/formats/export_formats.h"
#include "lib/formats/hugging_face_names.h"
#include "lib/formats/safetensors.h"
#include "lib/formats/saved_state.h"

namespace cairn {

/// Whether Hugging Face libraries, and an import, would take the file for a part of the model.
static bool is_model_file(const std::string& name) {
  static const std::regex shard("model-[0-9]+-of-[0-9]+\\.safetensors");
  return is_model_entry(name) || std::regex_match(name, shard);
}

static constexpr FolderFormat kHuggingFace = {is_model_entry, is_model_file, is_dcp_entry};

namespace {

class SafetensorsExporter {
 public:
  SafetensorsExporter(Checkpoint& checkpoint, const ExportRequest& request, ExportResult& result)
      : checkpoint_(checkpoint), request_(request), result_(result), fs_(export_fs(checkpoint)) {}

  Status write_file(const std::vector<ExportedTensor>& tensors) {
    const auto order = order_of();
    CAIRN_TRY(NewFile file, NewFile::create(fs_, request_.path, request_.force, order));
    CAIRN_CHECK(write_tensors(file, order, pointers(tensors)));
    CAIRN_CHECK(file.publish());
    result_.files.push_back(file.path());
    return {};
  }

  /// The entry is the file that readers begin with: the index, or the only file of tensors.
  Status write_folder(const std::vector<ExportedTensor>& tensors) {
    ExportFolder folder(fs_, request_, kHuggingFace, result_);
    const Status written = fill(folder, cut_shards(pointers(tensors)));
    if (!written) folder.remove_what_was_written();
    return written;
  }

 private:
  using Tensors = std::vector<const ExportedTensor*>;

  struct Shard {
    std::string name;
    Tensors tensors;
  };

  static Tensors pointers(const std::vector<ExportedTensor>& tensors) {
    Tensors all;
    for (const ExportedTensor& tensor : tensors) all.push_back(&tensor);
    return all;
  }

  NewFile::Order order_of() const {
    return is_read_in_order(checkpoint_) ? NewFile::Order::kAppend : NewFile::Order::kPlaced;
  }

  /// Whole and durable, but not under its name yet.
  Status write_tensors(NewFile& file, NewFile::Order order, const Tensors& tensors) {
    std::vector<SafetensorsEntry> entries;
    std::map<std::string, const ExportedTensor*> by_name;
    for (const ExportedTensor* tensor : tensors) {
      entries.push_back({tensor->name, tensor->dtype, tensor->shape, 0, tensor->bytes});
      by_name.emplace(tensor->name, tensor);
    }
    sort_for_safetensors(entries);
    const Bytes header = encode_safetensors_header(entries, checkpoint_.manifest().file_metadata);
    const auto write = [&](uint64_t at, ByteSpan bytes) {
      return order == NewFile::Order::kAppend ? file.append(bytes) : file.write_at(at, bytes);
    };
    CAIRN_CHECK(write(0, header));
    std::vector<PlacedTensor> placed;
    for (const SafetensorsEntry& entry : entries) {
      placed.push_back({by_name.at(entry.name), entry.begin});
      result_.bytes += entry.bytes;
    }
    CAIRN_CHECK(stream_tensors(checkpoint_, request_.call, placed, write));
    result_.tensors += entries.size();
    return file.seal();
  }

  /// In name order, as people expect to find them.
  std::vector<Shard> cut_shards(Tensors tensors) const {
    std::sort(tensors.begin(), tensors.end(),
              [](const auto* a, const auto* b) { return a->name < b->name; });
    std::vector<Shard> shards(1);
    uint64_t shard_bytes = 0;
    for (const ExportedTensor* tensor : tensors) {
      if (!shards.back().tensors.empty() &&
          shard_bytes + tensor->bytes > request_.shard_bytes_max) {
        shards.emplace_back();
        shard_bytes = 0;
      }
      shard_bytes += tensor->bytes;
      shards.back().tensors.push_back(tensor);
    }
    for (size_t i = 0; i < shards.size(); ++i) {
      shards[i].name = shards.size() == 1
                           ? std::string(kModelName)
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    }
    return shards;
  }

  Status fill(ExportFolder& folder, const std::vector<Shard>& shards) {
    CAIRN_CHECK(folder.check_attachments(checkpoint_, is_state_attachment));
    CAIRN_CHECK(folder.prepare());
    std::vector<NewFile> parts;
    nlohmann::json map = nlohmann::json::object();
    for (const Shard& shard : shards) {
      for (const ExportedTensor* tensor : shard.tensors) map[tensor->name] = shard.name;
      CAIRN_TRY(NewFile file, folder.create(shard.name, order_of()));
      CAIRN_CHECK(write_tensors(file, order_of(), shard.tensors));
      parts.push_back(std::move(file));
    }
    if (shards.size() > 1) {
      CAIRN_TRY(NewFile index, write_index(folder, map));
      parts.push_back(std::move(index));
    }
    NewFile entry = std::move(parts.back());
    parts.pop_back();
    CAIRN_CHECK(folder.write_attachments(checkpoint_, is_state_attachment, parts));
    return folder.publish(parts, entry);
  }

  Result<NewFile> write_index(ExportFolder& folder, const nlohmann::json& map) {
    CAIRN_TRY(const Bytes kept, load_attachment(checkpoint_, kIndexMetadataName));
    nlohmann::json about = nlohmann::json::parse(kept.begin(), kept.end(), nullptr, false);
    if (!about.is_object()) about = nlohmann::json::object();
    about["total_size"] = result_.bytes;
    const nlohmann::json index = {{"metadata", about}, {"weight_map", map}};
    CAIRN_TRY(NewFile file, folder.create(std::string(kModelIndexName)));
    CAIRN_CHECK(file.append(as_bytes(index.dump(2) + "\n")));
    CAIRN_CHECK(file.seal());
    return file;
  }

  Checkpoint& checkpoint_;
  const ExportRequest& request_;
  ExportResult& result_;
  Fs& fs_;
};

}  // namespace

Status export_safetensors(Checkpoint& checkpoint, const ExportRequest& request,
                          const std::vector<ExportedTensor>& tensors, ExportResult& result) {
  CAIRN_TRY(const bool has_more, holds_values(checkpoint));
  warn_of_what_stays(has_more, result);
  return SafetensorsExporter(checkpoint, request, result).write_file(tensors);
}

Status export_hugging_face(Checkpoint& checkpoint, const ExportRequest& request,
                           const std::vector<ExportedTensor>& tensors, ExportResult& result) {
  CAIRN_TRY(const bool has_more, holds_values(checkpoint));
  warn_of_what_stays(has_more, result);
  return SafetensorsExporter(checkpoint, request, result).write_folder(tensors);
}

}  // namespace cairn
