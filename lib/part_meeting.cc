// What happens in a meeting, in this order:
//   announce  sessions/<session>.part says which part of which tag this is
//   gather    each looks for the parts of all ranks
//   unite     under a lock, one that finds all their processes alive saves them as the tag, and
//             writes sessions/<tag>.outcome
//   learn     each finds its part in the outcome and takes its announcement away; the last one the
//             outcome as well
// Who gives up takes its announcement away under the same lock: a part is united or withdrawn.
#include "lib/part_meeting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/stop.h"
#include "lib/part.h"
#include "lib/save_json.h"
#include "store/gc/live_sessions.h"
#include "store/meetings.h"
#include "store/session.h"

namespace cairn {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kFileBytesMax = 64 * kMiB;

Code code_named(std::string_view name) {
  for (int number = 0; number <= static_cast<int>(Code::kBug); ++number) {
    const auto code = static_cast<Code>(number);
    if (code_name(code) == name) return code;
  }
  return Code::kFailed;
}

bool are_texts(const Json& array) {
  return array.is_array() &&
         std::all_of(array.begin(), array.end(), [](const Json& each) { return each.is_string(); });
}

bool has_texts(const Json& object, std::initializer_list<const char*> keys) {
  return object.is_object() && std::all_of(keys.begin(), keys.end(), [&](const char* key) {
           return object.contains(key) && object[key].is_string();
         });
}

bool is_announcement(const Json& told) {
  return has_texts(told, {"tag", "part", "job"}) && told.contains("step") &&
         (told["step"].is_null() || told["step"].is_number_integer()) &&
         told.value("rank", Json()).is_number_unsigned() &&
         told.value("ranks", Json()).is_number_unsigned();
}

bool is_outcome(const Json& told) {
  return told.is_object() && told.contains("parts") && are_texts(told["parts"]) &&
         (told.contains("result") ||
          (told.contains("error") && has_texts(told["error"], {"code", "message", "hint"})));
}

/// Of the process that stored a part. Errors: kUsage for what is no part's name.
Result<SessionId> session_of(std::string_view part) {
  CAIRN_TRY(const Reference told, parse_part_name(part));
  return told.file.session;
}

class MeetingOfParts {
 public:
  MeetingOfParts(const Store& store, const SaveRequest& request, const std::string& part,
                 const Meeting& meeting)
      : store_(store),
        request_(request),
        part_(part),
        meeting_(meeting),
        own_path_(announcement_path(store.path(), session_of(part).value())),
        outcome_path_(cairn::outcome_path(store.path(), request.tag, meeting.job)) {}

  Result<Json> run() {
    auto told = announce_and_wait();
    // Whatever it was, nobody is to unite a part that was given up.
    if (!told && !is_over_) (void)give_up().has_value();
    return told;
  }

 private:
  static constexpr std::chrono::milliseconds kPoll{20};

  Result<Json> announce_and_wait() {
    CAIRN_CHECK(announce());
    const auto end = std::chrono::steady_clock::now() + meeting_.longest;
    for (;;) {
      CAIRN_TRY(const auto outcome, read_outcome());
      if (outcome) return learn(*outcome);
      CAIRN_TRY(const auto there, glance());
      CAIRN_CHECK(note_new(there));
      if (there.size() == meeting_.ranks) {
        CAIRN_TRY(const auto united, unite());
        if (united) return learn(*united);
      }
      if (has_lost()) return withdraw(false);
      const bool stopped = is_stopped(request_.call.stop);
      if (stopped || std::chrono::steady_clock::now() >= end) return withdraw(stopped);
      std::this_thread::sleep_for(kPoll);
    }
  }

  Status announce() {
    const Json told{{"tag", request_.tag},
                    {"job", meeting_.job},
                    {"step", request_.step ? Json(*request_.step) : Json()},
                    {"rank", meeting_.rank},
                    {"ranks", meeting_.ranks},
                    {"part", part_}};
    return replace(own_path_, told);
  }

  Status replace(const std::string& path, const Json& told) const {
    // Of this rank alone: whoever writes an outcome holds the lock.
    const std::string temporary = own_path_ + ".writing";
    // Paths and messages may be no UTF-8.
    const std::string text = told.dump(-1, ' ', false, Json::error_handler_t::replace);
    return replace_file(store_.fs(), path, temporary, as_bytes(text));
  }

  /// nullopt for what is gone, or is not what it should be.
  std::optional<Json> read(const std::string& path, bool (*is_good)(const Json&)) const {
    const auto bytes = read_file(store_.fs(), path, kFileBytesMax);
    if (!bytes) return std::nullopt;
    Json told = Json::parse(as_text(*bytes), nullptr, false);
    return is_good(told) ? std::optional(std::move(told)) : std::nullopt;
  }

  using Parts = std::map<uint32_t, std::string>;

  /// The parts of this tag by rank, of the sessions that `lives` says live.
  /// `is_sure`: that they live, so that what they say must fit. `all`: gets every part.
  template <class Lives>
  Result<Parts> gather(bool is_sure, const Lives& lives,
                       std::set<std::string>* all = nullptr) const {
    Parts there;
    CAIRN_TRY(const auto announcements, list_announcements(store_));
    for (const Announcement& each : announcements) {
      const auto told = read(each.path, is_announcement);
      const bool is_ours = told && (*told)["tag"] == request_.tag && (*told)["job"] == meeting_.job;
      if (!is_ours || !lives(each.session)) continue;
      if (is_sure) CAIRN_CHECK(check_same(*told));
      const auto rank = (*told)["rank"].get<uint32_t>();
      // Of a larger job that has died, perhaps: it must not keep this one from being complete.
      if (!is_sure && rank >= meeting_.ranks) continue;
      const auto part = (*told)["part"].get<std::string>();
      if (all != nullptr) all->insert(part);
      const auto [at, is_first] = there.try_emplace(rank, part);
      if (!is_first && is_sure) return come_twice(rank);
      if (part == part_) at->second = part;
    }
    return there;
  }

  tl::unexpected<Error> come_twice(uint32_t rank) const {
    return fail(Code::kUsage,
                fmt::format("two processes save '{}' as rank {}, both alive", request_.tag, rank),
                "is an earlier job still running? Give each its own tags");
  }

  /// May count a rank whose process has died.
  Result<Parts> glance() {
    announced_.clear();
    const auto has_lease = [&](const SessionId& session) {
      return file_exists(store_.fs(), lease_path(store_.path(), session));
    };
    return gather(false, has_lease, &announced_);
  }

  Result<Parts> look() const {
    CAIRN_TRY(const int64_t now, file_system_now(store_));
    return gather(true, [&](const SessionId& session) { return may_live(store_, session, now); });
  }

  Status check_same(const Json& told) const {
    const auto rank = told["rank"].get<uint64_t>(), ranks = told["ranks"].get<uint64_t>();
    const Json step = request_.step ? Json(*request_.step) : Json();
    if (ranks == meeting_.ranks && told["step"] == step && rank < ranks) return {};
    return fail(
        Code::kUsage,
        fmt::format("rank {} of {} saves '{}' of step {}, rank {} of {} of step {}", meeting_.rank,
                    meeting_.ranks, request_.tag, step.dump(), rank, ranks, told["step"].dump()),
        "all ranks of a tag save the same step");
  }

  Result<std::unique_ptr<FileLock>> lock() const {
    auto held = store_.fs().lock(meetings_lock_path(store_.path()),
                                 {request_.call.wait + meeting_.longest, request_.call.stop});
    if (held || held.error().code != Code::kBusy) return held;
    return fail(Code::kUnreachable,
                fmt::format("the rank that makes '{}' of its parts does not get on: {}",
                            request_.tag, held.error().message),
                "see whether it still runs; the tag may be there in the end");
  }

  /// The outcome, if this part is in it.
  Result<std::optional<Json>> read_outcome() const {
    auto outcome = read(outcome_path_, is_outcome);
    if (!outcome) return std::optional<Json>();
    const Json& parts = (*outcome)["parts"];
    const bool is_in = std::find(parts.begin(), parts.end(), Json(part_)) != parts.end();
    return is_in ? std::move(outcome) : std::nullopt;
  }

  /// Makes the tag, unless another rank has, or a part was withdrawn meanwhile: nullopt.
  Result<std::optional<Json>> unite() {
    CAIRN_TRY(const auto lock, this->lock());
    CAIRN_TRY(auto outcome, read_outcome());
    if (outcome) return outcome;
    CAIRN_TRY(const auto there, look());
    if (there.size() != meeting_.ranks) return std::optional<Json>();
    SaveRequest united = request_;
    for (const auto& [rank, part] : there) united.parts.push_back(part);
    const auto saved = save(store_, united);
    Json told{{"parts", united.parts}};
    if (saved) {
      told["result"] = save_json(*saved);
    } else {
      told["error"] = {{"code", code_name(saved.error().code)},
                       {"message", saved.error().message},
                       {"hint", saved.error().hint}};
    }
    CAIRN_CHECK(replace(outcome_path_, told));
    return std::optional(std::move(told));
  }

  Result<Json> learn(const Json& outcome) {
    is_over_ = true;
    // The rest is tidying up, and gc's where it fails.
    (void)leave(outcome).has_value();
    if (outcome.contains("result")) return outcome["result"];
    const Json& error = outcome["error"];
    return fail(code_named(error["code"].get<std::string>()), error["message"].get<std::string>(),
                error["hint"].get<std::string>());
  }

  /// Takes the announcement away; and the outcome when all have learned it.
  Status leave(const Json& outcome) const {
    CAIRN_TRY(const auto lock, this->lock());
    (void)store_.fs().remove(own_path_).has_value();
    for (const Json& part : outcome["parts"]) {
      const auto session = session_of(part.get<std::string>());
      if (session && file_exists(store_.fs(), announcement_path(store_.path(), *session)))
        return {};
    }
    (void)store_.fs().remove(outcome_path_).has_value();
    return {};
  }

  /// Takes the announcement away. Where the part was united meanwhile, as one that has learned it.
  Status give_up() const {
    CAIRN_TRY(auto lock, this->lock());
    CAIRN_TRY(const auto outcome, read_outcome());
    if (outcome) {
      lock.reset();
      return leave(*outcome);
    }
    (void)store_.fs().remove(own_path_).has_value();
    return {};
  }

  /// Looks once at what has come: it may be left from a process that died before.
  Status note_new(const Parts& there) {
    const bool has_new = std::any_of(there.begin(), there.end(), [&](const auto& each) {
      return !glanced_.contains(each.second);
    });
    if (!has_new) return {};
    for (const auto& [rank, part] : there) glanced_.insert(part);
    CAIRN_TRY(const Parts living, look());
    for (const auto& [rank, part] : living) {
      seen_[rank] = part;
      announced_.insert(part);
    }
    return {};
  }

  /// Whether a rank that had come has gone: without it there will be no tag.
  bool has_lost() const {
    return std::any_of(seen_.begin(), seen_.end(),
                       [&](const auto& each) { return !announced_.contains(each.second); });
  }

  /// Ranks that never came, or died; not those that came and gave up.
  Result<std::vector<uint32_t>> find_missing() const {
    CAIRN_TRY(const auto there, look());
    CAIRN_TRY(const auto announced, gather(false, [](const SessionId&) { return true; }));
    std::vector<uint32_t> missing;
    for (uint32_t rank = 0; rank < meeting_.ranks; ++rank) {
      const bool gave_up = seen_.contains(rank) && !announced.contains(rank);
      if (!there.contains(rank) && !gave_up) missing.push_back(rank);
    }
    return missing;
  }

  Result<Json> withdraw(bool is_stopped) {
    CAIRN_TRY(auto lock, this->lock());
    CAIRN_TRY(const auto outcome, read_outcome());
    if (outcome) {
      lock.reset();
      return learn(*outcome);
    }
    CAIRN_TRY(const auto missing, find_missing());
    is_over_ = true;
    (void)store_.fs().remove(own_path_).has_value();
    if (is_stopped) return fail(Code::kCancelled, "the save was stopped");
    if (missing.empty()) {
      return fail(Code::kUnreachable,
                  fmt::format("another of the {} ranks that save '{}' has given up", meeting_.ranks,
                              request_.tag),
                  "see what it says, and save again");
    }
    return fail(
        Code::kUnreachable,
        fmt::format("of the {} ranks that save '{}', rank {} did not come within {} s",
                    meeting_.ranks, request_.tag, fmt::join(missing, ", rank "),
                    std::chrono::duration_cast<std::chrono::seconds>(meeting_.longest).count()),
        "see what became of it, and save again");
  }

  const Store& store_;
  const SaveRequest& request_;
  const std::string part_;
  const Meeting meeting_;
  const std::string own_path_, outcome_path_;
  bool is_over_ = false;             // the part is united, or withdrawn
  Parts seen_;                       // of ranks that have come, and lived then
  std::set<std::string> glanced_;    // parts that were looked at
  std::set<std::string> announced_;  // parts, when they were last looked for
};

}  // namespace

Result<nlohmann::ordered_json> meet(const Store& store, const SaveRequest& request, SavedPart& part,
                                    const Meeting& meeting) {
  if (meeting.rank >= meeting.ranks) {
    return fail(Code::kUsage,
                fmt::format("there is no rank {} of {}", meeting.rank, meeting.ranks));
  }
  if (store.fs().conditional() != nullptr) {
    return fail(Code::kUsage,
                fmt::format("ranks meet in a folder, and '{}' is a bucket", store.path()),
                "let them talk (use_collectives=True), or save to a folder and push from there");
  }
  auto told = MeetingOfParts(store, request, part.name(), meeting).run();
  part.keep();
  return told;
}

}  // namespace cairn
