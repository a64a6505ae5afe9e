#include "store/remote/directory_uploads.h"

#include <array>

#include <fmt/format.h>

#include "base/random.h"
#include "base/utf8.h"
#include "store/remote/ascii.h"
#include "store/remote/crc32.h"

namespace cairn::remote {

static constexpr uint64_t kPartBytesMost = kGiB;

static std::string part_name(uint32_t number) { return fmt::format("{:05}", number); }

static std::string crc_text(uint32_t crc) { return fmt::format("{:08x}", crc); }

Result<std::string> DirectoryUploads::spare_path() {
  std::array<uint8_t, 16> name{};
  CAIRN_CHECK(random_bytes(name));
  return join_path(folder_, to_hex(name));
}

Result<std::string> DirectoryUploads::write_spare(ByteSpan bytes) {
  CAIRN_TRY(std::string path, spare_path());
  const Status written =
      make_in_folder(fs_, path, [&] { return create_and_sync(fs_, path, bytes); });
  if (written) return path;
  (void)fs_.remove(path).has_value();
  return tl::unexpected<Error>(written.error());
}

Result<std::string> DirectoryUploads::begin(const std::string& key) {
  CAIRN_TRY(const std::string path, spare_path());
  CAIRN_CHECK(fs_.make_folders(path));
  CAIRN_CHECK(write_new_file(fs_, join_path(path, "key"), as_bytes(key)));
  return path.substr(folder_.size() + 1);
}

Result<std::string> DirectoryUploads::folder_of(const std::string& upload) {
  std::array<uint8_t, 16> name{};
  const std::string folder = join_path(folder_, upload);
  if (!from_hex(upload, name) || !file_exists(fs_, join_path(folder, "key"))) {
    return fail(Code::kNotFound, fmt::format("there is no upload '{}'", shown(upload)));
  }
  return folder;
}

Result<UploadedPart> DirectoryUploads::add(const std::string& upload, uint32_t number,
                                           ByteSpan bytes) {
  CAIRN_TRY(const std::string folder, folder_of(upload));
  CAIRN_TRY(const std::string spare, write_spare(bytes));
  if (auto renamed = fs_.rename(spare, join_path(folder, part_name(number))); !renamed) {
    (void)fs_.remove(spare).has_value();
    return tl::unexpected<Error>(renamed.error());
  }
  CAIRN_CHECK(fs_.sync_folder(folder));
  const uint32_t crc = crc32_of(bytes);
  return UploadedPart{number, bytes.size(), crc_text(crc), crc};
}

Result<UploadedPart> DirectoryUploads::look(const std::string& folder, uint32_t number) {
  CAIRN_TRY(const Bytes bytes,
            read_file(fs_, join_path(folder, part_name(number)), kPartBytesMost));
  const uint32_t crc = crc32_of(bytes);
  return UploadedPart{number, bytes.size(), crc_text(crc), crc};
}

Result<std::vector<UploadedPart>> DirectoryUploads::parts(const std::string& upload) {
  CAIRN_TRY(const std::string folder, folder_of(upload));
  CAIRN_TRY(const auto entries, fs_.list(folder));
  std::vector<UploadedPart> parts;
  for (const FolderEntry& entry : entries) {
    const auto number = static_cast<uint32_t>(parse_number(entry.name).value_or(0));
    if (number == 0 || entry.name != part_name(number)) continue;
    CAIRN_TRY(parts.emplace_back(), look(folder, number));
  }
  return parts;
}

Status DirectoryUploads::append_part(File& file, uint64_t& offset, const std::string& folder,
                                     const UploadedPart& part) {
  CAIRN_TRY(const Bytes bytes,
            read_file(fs_, join_path(folder, part_name(part.number)), kPartBytesMost));
  if (crc_text(crc32_of(bytes)) != part.version) {
    return fail(Code::kFailed,
                fmt::format("part {} is not the one of '{}'", part.number, shown(part.version)));
  }
  if (!bytes.empty()) CAIRN_CHECK(file.write_at(offset, bytes));
  offset += bytes.size();
  return {};
}

Result<std::string> DirectoryUploads::join(const std::string& upload,
                                           const std::vector<UploadedPart>& parts) {
  CAIRN_TRY(const std::string folder, folder_of(upload));
  CAIRN_TRY(std::string path, spare_path());
  CAIRN_TRY(const auto file, fs_.open(path, OpenMode::kCreate));
  uint64_t offset = 0;
  Status joined;
  for (const UploadedPart& part : parts) {
    if (joined) joined = append_part(*file, offset, folder, part);
  }
  if (joined) joined = file->sync();
  if (joined) return path;
  (void)fs_.remove(path).has_value();
  return tl::unexpected<Error>(joined.error());
}

Status DirectoryUploads::remove(const std::string& upload) {
  const auto folder = folder_of(upload);
  if (!folder) return {};
  CAIRN_TRY(const auto entries, fs_.list(*folder));
  // `key` goes last: without it there is no upload that could be aborted again.
  for (const FolderEntry& entry : entries) {
    if (entry.name != "key") CAIRN_CHECK(fs_.remove(join_path(*folder, entry.name)));
  }
  CAIRN_CHECK(fs_.remove(join_path(*folder, "key")));
  return fs_.remove(*folder);
}

Result<std::vector<OpenUpload>> DirectoryUploads::list(const std::string& prefix) {
  const auto entries = fs_.list(folder_);
  std::vector<OpenUpload> uploads;
  if (!entries && entries.error().code == Code::kNotFound) return uploads;
  if (!entries) return tl::unexpected<Error>(entries.error());
  for (const FolderEntry& entry : *entries) {
    const std::string named = join_path(join_path(folder_, entry.name), "key");
    const auto info = fs_.info(named);
    if (!entry.is_folder || !info) continue;
    CAIRN_TRY(const Bytes key, read_file(fs_, named, 4 * kKiB));
    if (!as_text(key).starts_with(prefix)) continue;
    uploads.push_back({std::string(as_text(key)), entry.name, info->modified_ns});
  }
  return uploads;
}

}  // namespace cairn::remote
