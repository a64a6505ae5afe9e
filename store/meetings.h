// Files by which processes that save parts of one tag meet (docs/PROTOCOL.md, section 7): in the
// folder of sessions, `<session>.part` announces a part, `<tag>.outcome` says what became of a tag.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/file_id.h"
#include "store/store.h"

namespace cairn {

struct Announcement {
  SessionId session;
  std::string path;
};

std::string announcement_path(const std::string& store_path, const SessionId& session);
/// One for each tag and job that makes it.
std::string outcome_path(const std::string& store_path, const std::string& tag,
                         const std::string& job);
std::string meetings_lock_path(const std::string& store_path);

Result<std::vector<Announcement>> list_announcements(const Store& store);

/// Removes announcements of processes that are gone, and outcomes that nobody waits for. For gc.
/// Returns what could not be removed, and why.
std::vector<std::string> remove_old_meetings(const Store& store, int64_t now_ns);

}  // namespace cairn
