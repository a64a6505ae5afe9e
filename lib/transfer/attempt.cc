// The steps:
//   look      the source's tag, by one root; the destination's tag that shares most with it
//   lease     a session of the destination, which protects that tag's copies
//   plan      page by page: what stands, what is found elsewhere, what must be fetched
//   fetch     ranges of the source's packs into packs of the session, each copy checked
//   metadata  manifest, schema and pages as they are, new locators; all durable
//   prove     copies that are made from others are decoded and their digests checked
//   commit    one replacement of the destination's root makes the tag visible
#include "lib/transfer/attempt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "lib/save_session.h"
#include "lib/transfer/begun_transfer.h"
#include "lib/transfer/fetch.h"
#include "lib/transfer/left_packs.h"
#include "lib/transfer/make_alone.h"
#include "lib/transfer/moved_tag.h"
#include "lib/transfer/proof.h"
#include "lib/transfer/resume.h"
#include "lib/transfer/resume_in_bucket.h"
#include "lib/transfer/standing_tag.h"

namespace cairn {
namespace {

class Attempt {
 public:
  explicit Attempt(const Errand& errand) : errand_(errand) {}

  Result<TransferResult> run() {
    CAIRN_TRY(const bool is_there, look());
    if (is_there) return result_;
    CAIRN_CHECK(begin());
    if (errand_.request.share) keep_share(*errand_.request.share);
    tell();
    if (errand_.request.dry_run) {
      result_.resumed_bytes = left_bytes(errand_.to, origin(), plan_.fetches);
      return result_;
    }
    if (errand_.request.share) return fetch_share();
    const Result<TagEntry> entry = guard_memory([&] { return write(); });
    auto result = entry ? commit(*entry) : tl::unexpected(entry.error());
    if (!result) give_up(result.error());
    return result;
  }

 private:
  /// The same call may come further.
  static bool is_worth_resuming(Code code) {
    return code == Code::kUnreachable || code == Code::kNoSpace || code == Code::kCancelled ||
           code == Code::kAuth || code == Code::kBusy;
  }

  /// What was moved or mended there, or lies in another place, need not come whole once more.
  bool is_fault_of_source(Code code) const {
    return errand_.met.failed_at_source && (code == Code::kNotFound || code == Code::kCorrupt);
  }

  bool is_worth_keeping(Code code) const {
    return errand_.met.is_worth_another || is_worth_resuming(code) || is_fault_of_source(code);
  }

  /// No tag comes of it: what the plan's pages choose by number is not looked at.
  void keep_share(const Share& share) {
    std::erase_if(plan_.fetches, [&](const Fetch& fetch) { return !share.has(fetch.copy); });
    plan_.fetch_bytes = plan_.made_chunks = plan_.alone_chunks = 0;
    for (const Fetch& fetch : plan_.fetches) count_fetch(plan_, fetch);
  }

  Result<TransferResult> fetch_share() {
    auto fetched = guard_memory([&] { return fetch(); });
    if (!fetched) {
      give_up(fetched.error());
      return tl::unexpected(std::move(fetched).error());
    }
    errand_.met.received_bytes += fetched->received_bytes;
    result_.facts.stored_bytes = fetched->stored_bytes;
    if (journal_ == nullptr) {
      session_->end();
      return result_;
    }
    const uint32_t packs = session_->packs().packs_begun();
    CAIRN_CHECK(leave());
    for (uint32_t number = 0; number < packs; ++number) {
      const std::string pack = relative_path(FileKind::kPack, {session_->id(), number});
      if (file_exists(errand_.to.fs(), join_path(errand_.to.path(), pack)))
        result_.left.push_back(pack);
    }
    result_.left.push_back(journal_->path().substr(errand_.to.path().size() + 1));
    return result_;
  }

  void give_up(Error& error) {
    errand_.met.lost_look_up = errand_.met.lost_look_up || failure_.lost_reused;
    errand_.met.is_worth_another = errand_.met.is_worth_another || failure_.lost_reused;
    if (failure_.may_be_visible) {
      if (journal_ != nullptr) (void)journal_->remove().has_value();
    } else if (journal_ != nullptr && is_worth_keeping(error.code)) {
      // A session in a bucket that cannot say so is known by its lease, once its process is gone.
      const bool is_left = leave() || errand_.to.fs().conditional() != nullptr;
      if (is_left && !is_worth_resuming(error.code)) {
        error.hint += error.hint.empty() ? "" : "; ";
        error.hint += "what has arrived is kept for the next one, and 'cairn gc' gives it up";
      } else if (is_left) {
        error.hint =
            "what has arrived is kept: the same command goes on from there, and 'cairn gc' "
            "gives it up";
      }
    } else if (journal_ == nullptr || journal_->remove()) {
      remove_files();
    }
  }

  /// In a bucket a push that took this one for dead may refer to its packs where they lie: what of
  /// them no tag needs is gc's to find.
  void remove_files() {
    if (journal_ == nullptr || errand_.to.fs().conditional() == nullptr)
      return session_->remove_files();
    session_->close_packs();
    session_->remove_metas();
    session_->end();
  }

  /// Leaves what has arrived to the next call.
  Status leave() {
    // On a full disk what is in buffers is lost, and what was written stays.
    (void)session_->packs().finish().has_value();
    session_->close_packs();
    session_->remove_metas();
    const Status left = journal_->leave();
    session_->end();
    return left;
  }

  Origin origin() const { return {errand_.from.store().config().store_id, errand_.cargo.digest()}; }

  /// Whether the destination has the tag already. Errors: kExists where it has another.
  Result<bool> look() {
    result_.tag = errand_.name;
    result_.manifest = errand_.cargo.digest();
    result_.facts = errand_.cargo.entry.facts;
    const auto standing = errand_.to.find_tag(errand_.name);
    if (!standing && standing.error().code == Code::kNotFound) return false;
    CAIRN_CHECK(standing);
    if (standing->manifest.digest == result_.manifest &&
        errand_.request.if_exists != IfExists::kError) {
      say_already_there(*standing);
      return true;
    }
    if (errand_.request.if_exists == IfExists::kReplace) return false;
    return fail(
        Code::kExists,
        fmt::format(
            "the tag '{}' exists already in '{}'{}", errand_.name, errand_.to.path(),
            standing->manifest.digest == result_.manifest ? "" : " with another checkpoint"),
        "'--if-exists replace' takes the name over");
  }

  void say_already_there(const TagEntry& standing) {
    result_.already_there = true;
    result_.facts = standing.facts;
    result_.facts.new_bytes = result_.facts.new_chunks = result_.facts.stored_bytes = 0;
    result_.reused_bytes = result_.facts.logical_bytes;
  }

  Status begin() {
    CAIRN_TRY(BegunTransfer begun, begin_transfer(errand_));
    session_ = std::move(begun.session);
    plan_ = std::move(begun.plan);
    result_.base = std::move(begun.base);
    reused_packs_ = std::move(begun.reused_packs);
    return {};
  }

  void tell() {
    tell_plan(plan_, result_);
    if (ProgressCounters* const progress = errand_.request.call.progress) {
      progress->total_bytes = progress->done_bytes + plan_.fetch_bytes;
    }
  }

  Result<TagEntry> write() {
    BaseTag* const base = session_->base();
    CAIRN_TRY(const Fetched fetched, fetch());
    errand_.met.received_bytes += fetched.received_bytes;
    result_.moved_bytes = fetched.stored_bytes;
    CAIRN_CHECK(session_->packs().finish());
    MetaWriter& metas = session_->metas();
    CAIRN_TRY(TagEntry entry, errand_.met.of_source(write_moved_tag(errand_.from, errand_.cargo,
                                                                    plan_, fetched.copies, base,
                                                                    metas, threads_for(kMiB))));
    entry.name = errand_.name;
    entry.session = session_->id();
    entry.pinned = false;
    entry.facts = result_.facts;
    entry.facts.stored_bytes = session_->packs().stored_bytes();
    entry.facts.stored_bytes += metas.sealed_bytes_after(encode_tag_entry(entry).size());
    CAIRN_CHECK(metas.add(ObjectKind::kTagEntry, encode_tag_entry(entry)));
    CAIRN_CHECK(metas.finish());
    CAIRN_CHECK(prove(entry));
    CAIRN_CHECK(unless_stopped(errand_.request.call.stop, "the transfer"));
    return entry;
  }

  Result<Fetched> fetch() {
    FetchRequest how;
    how.threads = errand_.request.connections;
    const uint64_t taken = session_->packs().write_through(errand_.request.memory_bytes / 2);
    how.memory_bytes = errand_.request.memory_bytes - std::min(taken, errand_.request.memory_bytes);
    how.call = errand_.request.call;
    if (!plan_.fetches.empty()) {
      CAIRN_TRY(journal_, ArrivalJournal::begin(errand_.to, session_->id(), origin()));
      CAIRN_TRY(how.arrived, resume());
      if (errand_.request.call.progress != nullptr) {
        errand_.request.call.progress->done_bytes += result_.resumed_bytes;
      }
    }
    how.journal = journal_.get();
    CAIRN_TRY(Fetched fetched, errand_.met.of_source(fetch_copies(
                                   errand_.from.store(), plan_.fetches, session_->packs(), how)));
    if (plan_.alone_chunks > 0) {
      CAIRN_CHECK(errand_.met.of_source(make_alone(errand_.from, plan_.fetches, session_->packs(),
                                                   threads_for(kProofBytes), errand_.request.call,
                                                   fetched)));
    }
    return fetched;
  }

  /// Per fetch, where an earlier call has brought it.
  Result<std::vector<std::optional<Copy>>> resume() {
    // What lies there already is the pull's that follows, and not to be given to others again.
    if (errand_.request.share) return std::vector<std::optional<Copy>>();
    CAIRN_TRY(Resumed resumed, find_left());
    for (const std::string& each : resumed.notes) errand_.met.note(each);
    result_.resumed_bytes = resumed.bytes;
    reused_packs_.insert(reused_packs_.end(), resumed.packs.begin(), resumed.packs.end());
    left_journals_ = std::move(resumed.journals);
    return std::move(resumed.copies);
  }

  Result<Resumed> find_left() {
    if (errand_.to.fs().conditional() == nullptr) {
      return resume_arrivals(errand_.to, origin(), plan_.fetches, session_->packs(), *journal_,
                             threads_for(2 * chunk_bytes_max(errand_.to.config())),
                             errand_.request.call.stop);
    }
    if (errand_.met.lost_look_up) return Resumed();
    Resumed left = find_left_in_bucket(errand_.to, origin(), plan_.fetches);
    session_->packs().count_file(left.bytes);
    return left;
  }

  /// Threads that have room for so much each.
  unsigned threads_for(uint64_t bytes) const {
    const unsigned wanted =
        errand_.request.call.threads == 0 ? default_threads() : errand_.request.call.threads;
    return static_cast<unsigned>(
        std::clamp<uint64_t>(errand_.request.memory_bytes / bytes, 1, wanted));
  }

  /// Decodes what was fetched and is made from other copies: where that is near.
  Status prove(const TagEntry& entry) {
    if (plan_.made_chunks == 0) return {};
    if (errand_.to.fs().read_habits().is_remote)
      return errand_.met.of_source(prove_in(errand_.from));
    CAIRN_TRY(const auto arrived, Checkpoint::open(errand_.to, entry));
    const Status proven = prove_in(*arrived);
    const BaseTag* const base = session_->base();
    if (!proven && proven.error().code == Code::kCorrupt && base != nullptr) {
      // It may be the base's bytes that are damaged: not built upon it, all is well.
      errand_.met.note(passed_over_note(errand_.to, base->tag().name, proven.error()));
      errand_.met.passed_over.push_back(base->tag().table);
      errand_.met.is_worth_another = true;
    }
    return proven;
  }

  Status prove_in(Checkpoint& checkpoint) const {
    return prove_fetched(checkpoint, errand_.cargo, plan_, threads_for(kProofBytes),
                         errand_.request.call.stop);
  }

  Result<TransferResult> commit(const TagEntry& entry) {
    // What a tag that may be visible stands on must not pass for what was left.
    if (journal_ != nullptr) CAIRN_CHECK(journal_->hold());
    CAIRN_TRY(const CommitResult committed,
              commit_tag(errand_.to, entry, errand_.request.if_exists, reused_packs_,
                         {errand_.request.call.wait, errand_.request.call.stop}, failure_));
    // What cannot be removed is gc's to find.
    if (journal_ != nullptr) (void)journal_->remove().has_value();
    for (const std::string& journal : left_journals_)
      (void)errand_.to.fs().remove(journal).has_value();
    result_.facts = committed.entry.facts;
    if (committed.already && committed.entry.session != session_->id()) {
      say_already_there(committed.entry);
      remove_files();
    }
    session_->end();
    return result_;
  }

  const Errand& errand_;
  std::unique_ptr<SaveSession> session_;
  std::unique_ptr<ArrivalJournal> journal_;
  TransferPlan plan_;
  std::vector<FileId> reused_packs_;
  std::vector<std::string> left_journals_;  // of sessions that nobody needs to go on from any more
  CommitFailure failure_;
  TransferResult result_;
};

}  // namespace

void tell_plan(const TransferPlan& plan, TransferResult& result) {
  result.facts.new_bytes = plan.new_bytes;
  result.facts.new_chunks = plan.new_chunks;
  result.reused_bytes = result.facts.logical_bytes - plan.new_bytes;
  result.moved_bytes = result.facts.stored_bytes = plan.fetch_bytes;
  result.alone_chunks = plan.alone_chunks;
}

Result<TransferResult> attempt_transfer(const Errand& errand) {
  Experience& met = errand.met;
  met.failed_at_source = met.is_worth_another = false;
  auto moved = Attempt(errand).run();
  if (!moved) return moved;
  moved->notes = met.notes;
  moved->received_bytes = met.received_bytes;
  return moved;
}

}  // namespace cairn
