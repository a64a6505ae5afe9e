#include "lib/formats/export_folder.h"

#include <fmt/format.h>

#include <set>
#include <sstream>

namespace cairn {

static constexpr size_t kFileNameBytesMax = 255;  // Linux, NAME_MAX

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

Status ExportFolder::prepare() {
  CAIRN_CHECK(refuse_file());
  const auto entries = fs_.list(request_.path);
  const bool is_new = !entries && entries.error().code == Code::kNotFound;
  if (!entries && !is_new) return tl::unexpected(entries.error());
  if (!is_new && !entries->empty() && !request_.force) {
    return fail(Code::kExists, fmt::format("the folder '{}' is not empty", request_.path),
                "choose another path, or '--force'");
  }
  if (!is_new) CAIRN_CHECK(refuse_what_would_mix(*entries));
  CAIRN_CHECK(fs_.make_folders(request_.path));
  const auto made = fs_.info(request_.path);
  if (!made || !made->is_folder) {  // a link that leads nowhere
    return fail(Code::kExists, fmt::format("'{}' exists already, and is no folder", request_.path),
                "choose another path");
  }
  made_folder_ = is_new;
  return {};
}

/// With `force`, only what an earlier export of this format left is replaced.
Status ExportFolder::refuse_what_would_mix(const std::vector<FolderEntry>& entries) const {
  for (const FolderEntry& entry : entries) {
    const std::string path = join_path(request_.path, entry.name);
    if (format_.is_of_other(entry.name)) {
      return fail(
          Code::kExists,
          fmt::format("'{}' is of a checkpoint in another format, which would be read for this "
                      "one",
                      path),
          "remove it, or choose another path");
    }
    if (entry.is_folder && format_.is_part(entry.name)) {
      return fail(Code::kExists,
                  fmt::format("'{}' is a folder, and called like a file of tensors", path),
                  "choose another path");
    }
  }
  return {};
}

/// What stands where the folder shall be stays as it is, with --force too.
Status ExportFolder::refuse_file() const {
  // `new/../file` cannot be found before `new` is made.
  const std::string plain = without_detours(request_.path);
  auto info = fs_.info(request_.path);
  if (!info && info.error().code == Code::kNotFound) info = fs_.info(plain);
  if (!info || info->is_folder) return {};
  return fail(
      Code::kExists, fmt::format("'{}' exists already, and is no folder", plain),
      "choose another path; one that ends in '.safetensors' or '.pt' becomes a single file");
}

Result<NewFile> ExportFolder::create(const std::string& name, NewFile::Order order) {
  return NewFile::create(fs_, join_path(request_.path, name), request_.force, order);
}

Status ExportFolder::check_attachment(const std::string& name) const {
  const std::string hint = "export to a '.safetensors' file and fetch it with 'cairn cat'";
  if (name.empty() || name == "." || name == ".." || name.size() > kFileNameBytesMax ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
    return fail(Code::kUsage, fmt::format("the attachment '{}' cannot be a file name", name), hint);
  }
  if (format_.is_part(name)) {
    return fail(Code::kUsage,
                fmt::format("the attachment '{}' is called like a file of the tensors", name),
                hint);
  }
  return {};
}

Status ExportFolder::check_attachments(const Checkpoint& checkpoint, const Taken& is_taken) const {
  for (const AttachmentInfo& attachment : checkpoint.manifest().attachments) {
    if (!is_taken(attachment.name)) CAIRN_CHECK(check_attachment(attachment.name));
  }
  return {};
}

Status ExportFolder::write_attachments(Checkpoint& checkpoint, const Taken& is_taken,
                                       std::vector<NewFile>& files) {
  for (const AttachmentInfo& attachment : checkpoint.manifest().attachments) {
    if (is_taken(attachment.name)) continue;
    CAIRN_TRY(NewFile file, create(attachment.name));
    CAIRN_CHECK(read_attachment(checkpoint, attachment.name,
                                [&](ByteSpan part) { return file.append(part); }));
    CAIRN_CHECK(file.seal());
    files.push_back(std::move(file));
    ++result_.attachments;
  }
  return {};
}

Status ExportFolder::publish_file(NewFile& file) {
  CAIRN_CHECK(file.publish());
  result_.files.push_back(file.path());
  return {};
}

Status ExportFolder::publish(std::vector<NewFile>& parts, NewFile& entry) {
  if (request_.force) {
    CAIRN_CHECK(remove_old(format_.is_entry));
    CAIRN_CHECK(fs_.sync_folder(request_.path));
  }
  for (NewFile& part : parts) CAIRN_CHECK(publish_file(part));
  if (request_.force) CAIRN_CHECK(remove_old(format_.is_part));
  return publish_file(entry);
}

/// Files of an earlier export that go by such a name and are not among those written now.
Status ExportFolder::remove_old(bool (*is_such)(const std::string&)) {
  const std::set<std::string> written(result_.files.begin(), result_.files.end());
  CAIRN_TRY(const auto files, fs_.list(request_.path));
  for (const FolderEntry& file : files) {
    const std::string path = join_path(request_.path, file.name);
    if (is_such(file.name) && !written.contains(path)) CAIRN_CHECK(fs_.remove(path));
  }
  return {};
}

void ExportFolder::remove_what_was_written() {
  if (request_.force) return;
  for (const std::string& file : result_.files) (void)fs_.remove(file).has_value();
  if (made_folder_) (void)fs_.remove(request_.path).has_value();
}

}  // namespace cairn
