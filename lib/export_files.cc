#include "lib/export_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/io.h"
#include "lib/convert.h"
#include "lib/safetensors.h"
#include "lib/slabs.h"
#include "store/file_id.h"

namespace cairn {

static constexpr uint64_t kSlabBytes = 64 * kMiB;

/// What --dtype converts: real numbers that arithmetic is done with.
static bool is_castable(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
    case Dtype::kBF16:
    case Dtype::kF32:
    case Dtype::kF64:
    case Dtype::kF8E5M2:
    case Dtype::kF8E4M3:
    case Dtype::kF8E8M0:
    case Dtype::kF8E4M3Fnuz:
    case Dtype::kF8E5M2Fnuz:
      return true;
    case Dtype::kBool:
    case Dtype::kF4:
    case Dtype::kF6E2M3:
    case Dtype::kF6E3M2:
    case Dtype::kU8:
    case Dtype::kI8:
    case Dtype::kI16:
    case Dtype::kU16:
    case Dtype::kI32:
    case Dtype::kU32:
    case Dtype::kC64:
    case Dtype::kI64:
    case Dtype::kU64:
      return false;
  }
  return false;
}

namespace {

/// A file that is written beside its final name and moved there when it is whole.
class NewFile {
 public:
  static Result<NewFile> create(Fs& fs, const std::string& path, bool force) {
    if (!force && file_exists(fs, path)) {
      return fail(Code::kExists, fmt::format("'{}' exists already", path),
                  "choose another path, or '--force'");
    }
    CAIRN_TRY(const SessionId unique, SessionId::fresh());
    NewFile file(fs, path, path + "." + unique.hex() + ".part");
    CAIRN_TRY(file.writer_, AppendWriter::create(fs, file.temporary_));
    return file;
  }
  ~NewFile() {
    if (writer_ == nullptr) return;
    writer_.reset();
    if (file_exists(fs_, temporary_)) (void)fs_.remove(temporary_).has_value();
  }
  NewFile(NewFile&&) = default;
  NewFile& operator=(NewFile&&) = delete;

  Status append(ByteSpan bytes) { return writer_->append(bytes); }
  Status publish() {
    CAIRN_CHECK(writer_->finish());
    CAIRN_CHECK(fs_.rename(temporary_, path_));
    writer_.reset();
    return fs_.sync_folder(parent_folder(path_));
  }

 private:
  NewFile(Fs& fs, std::string path, std::string temporary)
      : fs_(fs), path_(std::move(path)), temporary_(std::move(temporary)) {}

  Fs& fs_;
  std::string path_, temporary_;
  std::unique_ptr<AppendWriter> writer_;
};

class Exporter {
 public:
  Exporter(Checkpoint& checkpoint, const ExportRequest& request)
      : checkpoint_(checkpoint), request_(request), fs_(checkpoint.store().fs()) {}

  Result<ExportResult> run() {
    CAIRN_TRY(std::vector<SafetensorsEntry> entries, plan());
    sort_for_safetensors(entries);
    if (request_.call.progress != nullptr) {
      for (const auto& entry : entries) request_.call.progress->total_bytes += entry.bytes;
    }
    if (request_.as_folder) {
      CAIRN_CHECK(write_folder(std::move(entries)));
    } else {
      CAIRN_CHECK(write_file(request_.path, std::move(entries)));
    }
    return std::move(result_);
  }

 private:
  /// The tensors as they will be called and typed.
  Result<std::vector<SafetensorsEntry>> plan() {
    std::vector<SafetensorsEntry> entries;
    for (const std::string& stored : request_.tensors) {
      const auto number = checkpoint_.find_tensor(stored);
      if (!number) return fail(Code::kNotFound, fmt::format("there is no tensor '{}'", stored));
      const TensorInfo& tensor = checkpoint_.schema().tensors[*number];
      SafetensorsEntry entry;
      CAIRN_TRY(entry.name, apply_renames(stored, request_.rename));
      entry.dtype = static_cast<Dtype>(tensor.dtype);
      entry.shape = tensor.shape;
      if (request_.float_dtype && is_castable(entry.dtype)) {
        CAIRN_CHECK(check_convertible(entry.dtype, *request_.float_dtype));
        entry.dtype = *request_.float_dtype;
      }
      CAIRN_TRY(entry.bytes, checked_bytes(entry.dtype, entry.shape));
      const auto [at, fresh] = stored_names_.try_emplace(entry.name, stored);
      if (!fresh) {
        return fail(Code::kUsage, fmt::format("'{}' and '{}' would both be called '{}'", at->second,
                                              stored, entry.name));
      }
      entries.push_back(std::move(entry));
    }
    return entries;
  }

  Status write_file(const std::string& path, std::vector<SafetensorsEntry> entries) {
    CAIRN_TRY(NewFile file, NewFile::create(fs_, path, request_.force));
    CAIRN_CHECK(
        file.append(encode_safetensors_header(entries, checkpoint_.manifest().file_metadata)));
    for (const SafetensorsEntry& entry : entries) CAIRN_CHECK(write_tensor(file, entry));
    CAIRN_CHECK(file.publish());
    result_.files.push_back(path);
    result_.tensors += entries.size();
    return {};
  }

  Status write_tensor(NewFile& file, const SafetensorsEntry& entry) {
    // The stored dtype decides where slabs may be cut.
    const std::string& stored = stored_names_.at(entry.name);
    const TensorInfo& tensor = checkpoint_.schema().tensors[*checkpoint_.find_tensor(stored)];
    CAIRN_TRY(const auto slabs, cut_slabs(static_cast<Dtype>(tensor.dtype), entry.shape,
                                          checkpoint_.schema().chunk_elements, kSlabBytes));
    const uint64_t whole = whole_box(entry.shape).elements();
    for (const Box& slab : slabs) {
      const uint64_t bytes = whole == 0 ? 0
                                        : entry.bytes / whole * slab.elements() +
                                              entry.bytes % whole * slab.elements() / whole;
      if (slab_.size() < bytes) slab_ = AlignedBuffer(bytes);
      LoadRequest request;
      request.cast = true;
      request.call = request_.call;
      request.targets.push_back({stored, entry.dtype, entry.shape, slab, slab_.data(), {}});
      CAIRN_CHECK(load(checkpoint_, request));
      CAIRN_CHECK(file.append(slab_.span().first(bytes)));
      result_.bytes += bytes;
    }
    return {};
  }

  Status write_folder(std::vector<SafetensorsEntry> entries) {
    CAIRN_CHECK(prepare_folder());
    // Shards in name order, as people expect to find them.
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    std::vector<std::vector<SafetensorsEntry>> shards(1);
    uint64_t shard_bytes = 0, bytes = 0;
    for (SafetensorsEntry& entry : entries) {
      if (!shards.back().empty() && shard_bytes + entry.bytes > request_.shard_bytes_max) {
        shards.emplace_back();
        shard_bytes = 0;
      }
      shard_bytes += entry.bytes;
      bytes += entry.bytes;
      shards.back().push_back(std::move(entry));
    }
    nlohmann::json map = nlohmann::json::object();
    for (size_t i = 0; i < shards.size(); ++i) {
      const std::string name = shards.size() == 1 ? "model.safetensors"
                                                  : fmt::format("model-{:05}-of-{:05}.safetensors",
                                                                i + 1, shards.size());
      for (const SafetensorsEntry& entry : shards[i]) map[entry.name] = name;
      sort_for_safetensors(shards[i]);
      CAIRN_CHECK(write_file(join_path(request_.path, name), std::move(shards[i])));
    }
    if (shards.size() > 1) {
      const nlohmann::json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", map}};
      CAIRN_CHECK(write_whole("model.safetensors.index.json", index.dump(2) + "\n"));
    }
    return write_attachments();
  }

  Status prepare_folder() {
    const auto entries = fs_.list(request_.path);
    if (entries && !entries->empty() && !request_.force) {
      return fail(Code::kExists, fmt::format("the folder '{}' is not empty", request_.path),
                  "choose another path, or '--force'");
    }
    return fs_.make_folders(request_.path);
  }

  Status write_whole(const std::string& name, const std::string& text) {
    const std::string path = join_path(request_.path, name);
    CAIRN_TRY(NewFile file, NewFile::create(fs_, path, request_.force));
    CAIRN_CHECK(file.append(as_bytes(text)));
    CAIRN_CHECK(file.publish());
    result_.files.push_back(path);
    return {};
  }

  Status write_attachments() {
    for (const AttachmentInfo& attachment : checkpoint_.manifest().attachments) {
      if (attachment.name.find('/') != std::string::npos || attachment.name == "." ||
          attachment.name == "..") {
        return fail(Code::kUsage,
                    fmt::format("the attachment '{}' cannot be a file name", attachment.name),
                    "fetch it with 'cairn cat'");
      }
      const std::string path = join_path(request_.path, attachment.name);
      CAIRN_TRY(NewFile file, NewFile::create(fs_, path, request_.force));
      CAIRN_CHECK(read_attachment(checkpoint_, attachment.name,
                                  [&](ByteSpan part) { return file.append(part); }));
      CAIRN_CHECK(file.publish());
      result_.files.push_back(path);
      ++result_.attachments;
    }
    return {};
  }

  Checkpoint& checkpoint_;
  const ExportRequest& request_;
  Fs& fs_;
  std::map<std::string, std::string> stored_names_;  // by exported name
  AlignedBuffer slab_;
  ExportResult result_;
};

}  // namespace

Result<ExportResult> export_files(Checkpoint& checkpoint, const ExportRequest& request) {
  return Exporter(checkpoint, request).run();
}

}  // namespace cairn
