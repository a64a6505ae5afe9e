#include "store/distrust.h"

namespace cairn {

static std::string marks_folder(const Store& store) {
  return join_path(store.path(), "set-aside/packs");
}

Status distrust_packs(const Store& store, const std::set<FileId>& packs) {
  if (packs.empty()) return {};
  const std::string folder = marks_folder(store);
  CAIRN_CHECK(store.fs().make_folders(folder));
  for (const FileId& pack : packs) {
    const Status made = create_and_sync(store.fs(), join_path(folder, pack.name()), {});
    if (!made && made.error().code != Code::kExists) return made;
  }
  return store.fs().sync_folder(folder);
}

Result<std::set<FileId>> distrusted_packs(const Store& store) {
  std::set<FileId> packs;
  const auto marks = store.fs().list(marks_folder(store));
  if (!marks && marks.error().code == Code::kNotFound) return packs;
  CAIRN_CHECK(marks);
  for (const FolderEntry& mark : *marks) {
    const auto pack = FileId::parse(mark.name);
    if (pack) packs.insert(*pack);
  }
  return packs;
}

Status forget_distrust(const Store& store) {
  CAIRN_TRY(const auto packs, distrusted_packs(store));
  for (const FileId& pack : packs) {
    const auto info =
        store.fs().info(join_path(store.path(), relative_path(FileKind::kPack, pack)));
    if (info || info.error().code != Code::kNotFound) continue;
    CAIRN_CHECK(store.fs().remove(join_path(marks_folder(store), pack.name())));
  }
  return {};
}

}  // namespace cairn
