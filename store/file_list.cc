#include "store/file_list.h"

#include <fmt/format.h>

namespace cairn {

static Status list_folder(const Store& store, FileKind kind, const std::string& folder,
                          std::vector<StoredFile>& files) {
  CAIRN_TRY(const auto entries, store.fs().list(folder));
  for (const FolderEntry& entry : entries) {
    const auto file = FileId::parse(entry.name);
    if (!file || entry.is_folder) continue;
    const StoredFile stored{kind, *file, 0};
    const std::string path = join_path(folder, entry.name);
    // One that lies in another's folder is no file of the store.
    if (path != join_path(store.path(), stored.path())) continue;
    if (entry.bytes) {
      files.push_back({kind, *file, *entry.bytes});
      continue;
    }
    const auto info = store.fs().info(path);
    if (info) files.push_back({kind, *file, info->bytes});
    // Else a collector took it meanwhile.
    if (!info && info.error().code != Code::kNotFound) return tl::unexpected(info.error());
  }
  return {};
}

static Status list_kind(const Store& store, FileKind kind, std::vector<StoredFile>& files) {
  const std::string top = join_path(store.path(), kind == FileKind::kPack ? "packs" : "meta");
  const auto folders = store.fs().list(top);
  if (!folders && folders.error().code == Code::kNotFound) return {};
  CAIRN_CHECK(folders);
  for (const FolderEntry& folder : *folders) {
    // Behind a link lie files that are not, or not only, of this store.
    if (!folder.is_folder || folder.is_link) continue;
    const Status listed = list_folder(store, kind, join_path(top, folder.name), files);
    if (!listed && listed.error().code != Code::kNotFound) return listed;
  }
  return {};
}

Status refuse_linked_folders(const Store& store) {
  if (store.fs().conditional() != nullptr) return {};
  CAIRN_TRY(const auto entries, store.fs().list(store.path()));
  for (const FolderEntry& entry : entries) {
    const bool holds_files = entry.name == "packs" || entry.name == "meta";
    if (!holds_files || !entry.is_link) continue;
    return fail(Code::kProtected,
                fmt::format("'{}' is a link, behind which another store's files may lie",
                            join_path(store.path(), entry.name)),
                "put the folder itself in its place, or mount it there; nothing was deleted");
  }
  return {};
}

Result<std::vector<StoredFile>> list_files(const Store& store) {
  std::vector<StoredFile> files;
  CAIRN_CHECK(list_kind(store, FileKind::kPack, files));
  CAIRN_CHECK(list_kind(store, FileKind::kMeta, files));
  return files;
}

}  // namespace cairn
