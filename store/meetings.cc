#include "store/meetings.h"

#include <fmt/format.h>

#include "base/digest.h"
#include "store/session.h"

namespace cairn {

static constexpr std::string_view kPart = ".part", kOutcome = ".outcome", kWriting = ".writing";
static constexpr size_t kTagDigits = 32;

static std::string sessions_folder(const std::string& store_path) {
  return join_path(store_path, "sessions");
}

std::string announcement_path(const std::string& store_path, const SessionId& session) {
  return lease_path(store_path, session) + std::string(kPart);
}

std::string outcome_path(const std::string& store_path, const std::string& tag,
                         const std::string& job) {
  const std::string told = job.empty() ? tag : tag + '\0' + job;
  const std::string name = blake3(as_bytes(told)).hex().substr(0, kTagDigits);
  return join_path(sessions_folder(store_path), name + std::string(kOutcome));
}

std::string meetings_lock_path(const std::string& store_path) {
  return join_path(sessions_folder(store_path), "meetings.lock");
}

static Result<std::vector<FolderEntry>> list_sessions(const Store& store) {
  auto entries = store.fs().list(sessions_folder(store.path()));
  if (!entries && entries.error().code == Code::kNotFound) return std::vector<FolderEntry>();
  return entries;
}

/// Of "<session>.part" and of what is to become one.
static std::optional<SessionId> announcer(const FolderEntry& entry) {
  const size_t dot = entry.name.find('.');
  if (!entry.is_file || dot == std::string::npos) return std::nullopt;
  if (!std::string_view(entry.name).substr(dot).starts_with(kPart)) return std::nullopt;
  const auto session = SessionId::parse(entry.name.substr(0, dot));
  return session ? std::optional(*session) : std::nullopt;
}

Result<std::vector<Announcement>> list_announcements(const Store& store) {
  CAIRN_TRY(const auto entries, list_sessions(store));
  std::vector<Announcement> found;
  for (const FolderEntry& entry : entries) {
    const auto session = announcer(entry);
    if (!session || !entry.name.ends_with(kPart)) continue;
    found.push_back({*session, announcement_path(store.path(), *session)});
  }
  return found;
}

std::vector<std::string> remove_old_meetings(const Store& store, int64_t now_ns) {
  std::vector<std::string> failures;
  const auto entries = list_sessions(store);
  if (!entries) return failures;
  for (const FolderEntry& entry : *entries) {
    const std::string path = join_path(sessions_folder(store.path()), entry.name);
    bool is_old = false;
    if (const auto session = announcer(entry)) {
      is_old = !file_exists(store.fs(), lease_path(store.path(), *session));
    } else if (entry.is_file && entry.name.ends_with(kOutcome)) {
      const auto info = store.fs().info(path);
      const int64_t silence = std::chrono::nanoseconds(kSilenceMax).count();
      is_old = info && now_ns - info->modified_ns > silence;
    }
    if (!is_old) continue;
    const Status removed = store.fs().remove(path);
    const bool is_gone = removed || removed.error().code == Code::kNotFound;
    if (!is_gone) failures.push_back(fmt::format("{}: {}", path, removed.error().message));
  }
  return failures;
}

}  // namespace cairn
