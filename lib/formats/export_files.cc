#include "lib/formats/export_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "base/utf8.h"
#include "lib/convert.h"
#include "lib/formats/new_file.h"
#include "lib/formats/safetensors.h"
#include "lib/tensor_names.h"
#include "lib/tensor_stream.h"

namespace cairn {

static constexpr std::string_view kIndexName = "model.safetensors.index.json";
static constexpr std::string_view kWholeName = "model.safetensors";
static constexpr size_t kFileNameBytesMax = 255;  // Linux, NAME_MAX

/// Whether Hugging Face libraries, and an import, would take the file for a part of the model.
static bool is_model_file(const std::string& name) {
  static const std::regex shard("model-[0-9]+-of-[0-9]+\\.safetensors");
  return name == kWholeName || name == kIndexName || std::regex_match(name, shard);
}

/// The path without `.`, `..` and what they undo. Another place where a link is undone.
static std::string without_detours(const std::string& path) {
  std::vector<std::string> steps;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty() || part == ".") continue;
    const bool goes_back = part == ".." && !steps.empty() && steps.back() != "..";
    if (goes_back) {
      steps.pop_back();
    } else {
      steps.push_back(part);
    }
  }
  const std::string plain = fmt::format("{}", fmt::join(steps, "/"));
  return path.starts_with('/') ? "/" + plain : plain.empty() ? "." : plain;
}

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
      const Status written = write_folder(std::move(entries));
      if (!written) remove_what_was_written();
      CAIRN_CHECK(written);
    } else {
      CAIRN_TRY(NewFile file, write_tensors(request_.path, std::move(entries)));
      CAIRN_CHECK(publish(file));
    }
    return std::move(result_);
  }

 private:
  /// The tensors as they will be called and typed.
  Result<std::vector<SafetensorsEntry>> plan() {
    std::vector<SafetensorsEntry> entries;
    CAIRN_TRY(const Renamer renamer, Renamer::compile(request_.rename));
    for (const std::string& stored : request_.tensors) {
      const auto number = checkpoint_.find_tensor(stored);
      if (!number) return fail(Code::kNotFound, fmt::format("there is no tensor '{}'", stored));
      const TensorInfo& tensor = checkpoint_.schema().tensors[*number];
      SafetensorsEntry entry;
      CAIRN_TRY(entry.name, renamer.apply(stored));
      if (!is_utf8(entry.name)) {
        return fail(Code::kUsage, fmt::format("'{}' becomes '{}', which is not UTF-8", stored,
                                              shown(entry.name)));
      }
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

  /// Whole and durable, but not under its name yet; as all that follow.
  Result<NewFile> write_tensors(const std::string& path, std::vector<SafetensorsEntry> entries) {
    const bool in_order = checkpoint_.table().closure.empty();
    const auto order = in_order ? NewFile::Order::kAppend : NewFile::Order::kPlaced;
    CAIRN_TRY(NewFile file, NewFile::create(fs_, path, request_.force, order));
    const auto write = [&](uint64_t at, ByteSpan bytes) {
      return in_order ? file.append(bytes) : file.write_at(at, bytes);
    };
    const Bytes header = encode_safetensors_header(entries, checkpoint_.manifest().file_metadata);
    CAIRN_CHECK(write(0, header));
    TensorStream stream(checkpoint_, request_.call, write);
    uint64_t at = header.size();
    std::vector<TensorStream::Placed> tensors;
    for (const SafetensorsEntry& entry : entries) {
      const size_t number = *checkpoint_.find_tensor(stored_names_.at(entry.name));
      tensors.push_back({&checkpoint_.schema().tensors[number], entry.dtype, at});
      at += entry.bytes;
      result_.bytes += entry.bytes;
    }
    if (in_order) {
      for (const auto& [tensor, dtype, where] : tensors) {
        CAIRN_CHECK(stream.add(*tensor, dtype, whole_box(tensor->shape), where));
      }
    } else {
      CAIRN_TRY(const auto groups, group_tensors(tensors));
      for (const auto& group : groups) CAIRN_CHECK(stream.add_together(group));
    }
    CAIRN_CHECK(stream.flush());
    CAIRN_CHECK(file.seal());
    result_.tensors += entries.size();
    return file;
  }

  /// Those of one parameter together: where tensors are made from each other, it is these.
  Result<std::vector<std::vector<TensorStream::Placed>>> group_tensors(
      const std::vector<TensorStream::Placed>& tensors) const {
    CAIRN_TRY(const Layout layout, checkpoint_.layout());
    std::map<std::pair<std::string, Shape>, size_t> places;
    std::vector<std::vector<TensorStream::Placed>> groups;
    for (const TensorStream::Placed& each : tensors) {
      const auto number = static_cast<size_t>(each.tensor - checkpoint_.schema().tensors.data());
      const std::string& parameter = layout.tensors[number].parameter;
      const auto [at, fresh] =
          parameter.empty() ? std::pair(places.end(), true)
                            : places.try_emplace({parameter, each.tensor->shape}, groups.size());
      if (fresh) groups.emplace_back();
      groups[fresh ? groups.size() - 1 : at->second].push_back(each);
    }
    return groups;
  }

  Status publish(NewFile& file) {
    CAIRN_CHECK(file.publish());
    result_.files.push_back(file.path());
    return {};
  }

  struct Shard {
    std::string name;
    std::vector<SafetensorsEntry> entries;
  };

  /// In name order, as people expect to find them.
  std::vector<Shard> cut_shards(std::vector<SafetensorsEntry> entries) const {
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    std::vector<Shard> shards(1);
    uint64_t shard_bytes = 0;
    for (SafetensorsEntry& entry : entries) {
      if (!shards.back().entries.empty() && shard_bytes + entry.bytes > request_.shard_bytes_max) {
        shards.emplace_back();
        shard_bytes = 0;
      }
      shard_bytes += entry.bytes;
      shards.back().entries.push_back(std::move(entry));
    }
    for (size_t i = 0; i < shards.size(); ++i) {
      shards[i].name = shards.size() == 1
                           ? std::string(kWholeName)
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    }
    return shards;
  }

  /// The entry is the file that readers begin with: the index, or the only file of tensors.
  Status write_folder(std::vector<SafetensorsEntry> entries) {
    std::vector<Shard> shards = cut_shards(std::move(entries));
    CAIRN_CHECK(check_attachments());
    CAIRN_CHECK(prepare_folder());
    std::vector<NewFile> parts;
    nlohmann::json map = nlohmann::json::object();
    for (Shard& shard : shards) {
      for (const SafetensorsEntry& entry : shard.entries) map[entry.name] = shard.name;
      sort_for_safetensors(shard.entries);
      const std::string path = join_path(request_.path, shard.name);
      CAIRN_TRY(NewFile file, write_tensors(path, std::move(shard.entries)));
      parts.push_back(std::move(file));
    }
    if (shards.size() > 1) {
      CAIRN_TRY(NewFile index, write_index(map));
      parts.push_back(std::move(index));
    }
    NewFile entry = std::move(parts.back());
    parts.pop_back();
    CAIRN_CHECK(write_attachments(parts));
    return publish_folder(parts, entry);
  }

  Result<NewFile> write_index(const nlohmann::json& map) {
    const nlohmann::json index = {{"metadata", {{"total_size", result_.bytes}}},
                                  {"weight_map", map}};
    const std::string path = join_path(request_.path, std::string(kIndexName));
    CAIRN_TRY(NewFile file, NewFile::create(fs_, path, request_.force));
    CAIRN_CHECK(file.append(as_bytes(index.dump(2) + "\n")));
    CAIRN_CHECK(file.seal());
    return file;
  }

  /// Whoever reads the folder at any instant finds the old export whole, or no entry, or the new
  /// one whole: (1) the old entries go, for good; (2) the new parts get their names; (3) old parts
  /// that have no successor go, which would be taken for parts; (4) the new entry gets its name.
  Status publish_folder(std::vector<NewFile>& parts, NewFile& entry) {
    if (request_.force) {
      CAIRN_CHECK(remove_old(
          [](const std::string& name) { return name == kIndexName || name == kWholeName; }));
      CAIRN_CHECK(fs_.sync_folder(request_.path));
    }
    for (NewFile& part : parts) CAIRN_CHECK(publish(part));
    if (request_.force) CAIRN_CHECK(remove_old(is_model_file));
    return publish(entry);
  }

  /// Files of an earlier export that go by such a name and are not among those written now.
  Status remove_old(const std::function<bool(const std::string&)>& is_such) {
    const std::set<std::string> written(result_.files.begin(), result_.files.end());
    CAIRN_TRY(const auto files, fs_.list(request_.path));
    for (const FolderEntry& file : files) {
      const std::string path = join_path(request_.path, file.name);
      if (is_such(file.name) && !written.contains(path)) CAIRN_CHECK(fs_.remove(path));
    }
    return {};
  }

  /// Half a folder helps nobody, and the next try would need --force. With --force there was
  /// something before: what is left of it, or of the new files, has no entry.
  void remove_what_was_written() {
    if (request_.force) return;
    for (const std::string& file : result_.files) (void)fs_.remove(file).has_value();
    if (made_folder_) (void)fs_.remove(request_.path).has_value();
  }

  Status prepare_folder() {
    CAIRN_CHECK(refuse_file());
    const auto entries = fs_.list(request_.path);
    const bool is_new = !entries && entries.error().code == Code::kNotFound;
    if (!entries && !is_new) return tl::unexpected(entries.error());
    if (!is_new && !entries->empty() && !request_.force) {
      return fail(Code::kExists, fmt::format("the folder '{}' is not empty", request_.path),
                  "choose another path, or '--force'");
    }
    CAIRN_CHECK(fs_.make_folders(request_.path));
    const auto made = fs_.info(request_.path);
    if (!made || !made->is_folder) {  // a link that leads nowhere
      return fail(Code::kExists,
                  fmt::format("'{}' exists already, and is no folder", request_.path),
                  "choose another path");
    }
    made_folder_ = is_new;
    return {};
  }

  /// What stands where the folder shall be stays as it is, with --force too.
  Status refuse_file() const {
    // `new/../file` cannot be found before `new` is made.
    const std::string plain = without_detours(request_.path);
    auto info = fs_.info(request_.path);
    if (!info && info.error().code == Code::kNotFound) info = fs_.info(plain);
    if (!info || info->is_folder) return {};
    return fail(Code::kExists, fmt::format("'{}' exists already, and is no folder", plain),
                "choose another path; one that ends in '.safetensors' becomes a single file");
  }

  /// Attachments whose names are no file names, or those of the tensors' files, before any is
  /// written.
  Status check_attachments() const {
    const std::string hint = "export to a '.safetensors' file and fetch it with 'cairn cat'";
    for (const AttachmentInfo& attachment : checkpoint_.manifest().attachments) {
      const std::string& name = attachment.name;
      if (name.empty() || name == "." || name == ".." || name.size() > kFileNameBytesMax ||
          name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
        return fail(Code::kUsage, fmt::format("the attachment '{}' cannot be a file name", name),
                    hint);
      }
      if (is_model_file(name)) {
        return fail(Code::kUsage,
                    fmt::format("the attachment '{}' is called like a file of the tensors", name),
                    hint);
      }
    }
    return {};
  }

  Status write_attachments(std::vector<NewFile>& files) {
    for (const AttachmentInfo& attachment : checkpoint_.manifest().attachments) {
      const std::string path = join_path(request_.path, attachment.name);
      CAIRN_TRY(NewFile file, NewFile::create(fs_, path, request_.force));
      CAIRN_CHECK(read_attachment(checkpoint_, attachment.name,
                                  [&](ByteSpan part) { return file.append(part); }));
      CAIRN_CHECK(file.seal());
      files.push_back(std::move(file));
      ++result_.attachments;
    }
    return {};
  }

  Checkpoint& checkpoint_;
  const ExportRequest& request_;
  Fs& fs_;
  std::map<std::string, std::string> stored_names_;  // by exported name
  bool made_folder_ = false;
  ExportResult result_;
};

}  // namespace

Result<ExportResult> export_files(Checkpoint& checkpoint, const ExportRequest& request) {
  return Exporter(checkpoint, request).run();
}

}  // namespace cairn
