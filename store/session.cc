#include "store/session.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/process.h"
#include "store/sealed_json.h"

namespace cairn {

using nlohmann::json;

static json describe(const Reference& reference) {
  return json{{"file", reference.file.name()},
              {"offset", reference.offset},
              {"bytes", reference.bytes},
              {"digest", reference.digest.hex()}};
}

static json describe(const std::optional<LeasedBase>& base) {
  if (!base) return nullptr;
  return json{{"tag", base->tag},
              {"manifest", describe(base->manifest)},
              {"schema", describe(base->schema)},
              {"table", describe(base->table)},
              {"layout", base->layout ? describe(*base->layout) : json()}};
}

static std::string encode_lease(const std::string& tag, const std::optional<LeasedBase>& base) {
  const ProcessIdentity self = this_process();
  json packs = json::array();
  if (base) {
    for (const FileId& pack : base->packs) packs.push_back(pack.name());
  }
  return seal_json(json{{"kind", "save"},
                        {"host", self.host},
                        {"pid", self.pid},
                        {"pid_start", self.start},
                        {"started", format_rfc3339(now_ns())},
                        {"tag", tag},
                        {"base", describe(base)},
                        {"packs", packs}});
}

std::string Session::lease_path() const {
  return join_path(join_path(store_path_, "sessions"), id_.hex());
}

Result<std::unique_ptr<Session>> Session::begin(Fs& fs, const std::string& store_path,
                                                const std::string& tag,
                                                const std::optional<LeasedBase>& base) {
  CAIRN_TRY(const SessionId id, SessionId::fresh());
  std::unique_ptr<Session> session(new Session(fs, store_path, id));
  CAIRN_CHECK(fs.make_folders(join_path(store_path, "sessions")));
  session->leased_ = true;  // from here on something may have to be removed
  CAIRN_CHECK(write_new_file(fs, session->lease_path(), as_bytes(encode_lease(tag, base))));
  CAIRN_TRY(session->alive_, fs.mark_alive(session->lease_path()));
  return session;
}

Session::~Session() {
  if (leased_) (void)end().has_value();
}

Status Session::end() {
  alive_.reset();
  leased_ = false;
  return fs_.remove(lease_path());
}

void Session::remove_files(uint32_t packs, uint32_t metas) {
  const auto remove = [&](FileKind kind, uint32_t count) {
    for (uint32_t number = 0; number < count; ++number) {
      const std::string path = join_path(store_path_, relative_path(kind, {id_, number}));
      if (file_exists(fs_, path)) (void)fs_.remove(path).has_value();
    }
  };
  remove(FileKind::kPack, packs);
  remove(FileKind::kMeta, metas);
}

}  // namespace cairn
