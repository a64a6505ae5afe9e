// A transfer, step by step (docs/PROTOCOL.md, section 9, says what holds when it ends between two):
//   look      the source's tag, by one root; the destination's tag that shares most with it
//   lease     a session of the destination, which protects that tag's copies
//   plan      page by page: what stands, what is found elsewhere, what must be fetched
//   fetch     ranges of the source's packs into packs of the session, each copy checked
//   metadata  manifest, schema and pages as they are, new locators; all durable
//   prove     copies that are made from others are decoded and their digests checked
//   commit    one replacement of the destination's root makes the tag visible
#include "lib/transfer/transfer.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "lib/save_session.h"
#include "lib/transfer/fetch.h"
#include "lib/transfer/left_packs.h"
#include "lib/transfer/moved_tag.h"
#include "lib/transfer/resume.h"
#include "lib/transfer/standing_tag.h"
#include "store/chain_groups.h"
#include "store/chain_reader.h"
#include "store/tag_name.h"

namespace cairn {
namespace {

class Transfer {
 public:
  Transfer(Checkpoint& from, const Store& to, const TransferRequest& request,
           const std::string& name)
      : from_(from), to_(to), request_(request), name_(name), tables_(to) {}

  Result<TransferResult> run() {
    CAIRN_TRY(const bool is_there, look());
    if (is_there) return result_;
    CAIRN_TRY(const std::string base, base_name());
    if (request_.dry_run) return measure(base);
    SaveRequest begun;
    begun.tag = name_;
    begun.if_exists = request_.if_exists;
    begun.call = request_.call;
    CAIRN_TRY(session_, SaveSession::begin(to_, begun, base));
    const Result<TagEntry> entry = guard_memory([&] { return write(); });
    auto result = entry ? commit(*entry) : tl::unexpected(entry.error());
    if (result) return result;
    if (!entry && journal_ != nullptr && is_worth_resuming(entry.error())) {
      leave(result.error());
    } else if (!failure_.may_be_visible && (journal_ == nullptr || journal_->remove())) {
      // Not before: who goes on from a journal relies on it that nobody removes these files.
      session_->remove_files();
    }
    return result;
  }

  /// Whether it was refused because of copies that the destination had: without them all is well.
  bool lost_reused() const { return failure_.lost_reused; }

 private:
  static bool is_worth_resuming(const Error& error) {
    return error.code == Code::kUnreachable || error.code == Code::kNoSpace ||
           error.code == Code::kCancelled;
  }

  /// Leaves what has arrived to the next call.
  void leave(Error& error) {
    // On a full disk what is in buffers is lost, and what was written stays.
    (void)session_->packs().finish().has_value();
    session_->close_packs();
    session_->remove_metas();
    // Of an object store's session that could not say so the lease does, once its process is gone.
    if (journal_->leave() || to_.fs().conditional() != nullptr) {
      error.hint =
          "what has arrived is kept: the same command goes on from there, and 'cairn gc' "
          "gives it up";
    }
    session_->end();
  }

  /// Whether the destination has the tag already. Errors: kExists where it has another.
  Result<bool> look() {
    result_.tag = name_;
    result_.manifest = from_.tag().manifest.digest;
    result_.facts = from_.tag().facts;
    const auto standing = to_.find_tag(name_);
    if (!standing && standing.error().code == Code::kNotFound) return false;
    CAIRN_CHECK(standing);
    if (standing->manifest.digest == result_.manifest && request_.if_exists != IfExists::kError) {
      say_already_there(*standing);
      return true;
    }
    if (request_.if_exists == IfExists::kReplace) return false;
    return fail(
        Code::kExists,
        fmt::format(
            "the tag '{}' exists already in '{}'{}", name_, to_.path(),
            standing->manifest.digest == result_.manifest ? "" : " with another checkpoint"),
        "'--if-exists replace' takes the name over");
  }

  void say_already_there(const TagEntry& standing) {
    result_.already_there = true;
    result_.facts = standing.facts;
    result_.facts.new_bytes = result_.facts.new_chunks = result_.facts.stored_bytes = 0;
    result_.reused_bytes = result_.facts.logical_bytes;
  }

  Result<std::string> base_name() const {
    CAIRN_TRY(const auto standing, choose_standing_tag(to_, name_, from_));
    return standing ? standing->name : "none";
  }

  Result<TransferResult> measure(const std::string& base) {
    std::unique_ptr<BaseTag> opened;
    if (base != "none") {
      CAIRN_TRY(const TagEntry tag, to_.find_tag(base));
      CAIRN_TRY(opened, BaseTag::open(to_, tag));
    }
    CAIRN_CHECK(plan(opened.get()));
    tell_plan(opened.get());
    return result_;
  }

  /// Without the base where that is not what it says.
  Status plan(BaseTag* base) {
    CAIRN_TRY(auto standing, StandingCopies::of(base, tables_));
    CAIRN_TRY(plan_, plan_with(standing));
    if (standing.is_broken()) {
      CAIRN_TRY(standing, StandingCopies::of(nullptr, tables_));
      CAIRN_TRY(plan_, plan_with(standing));
    }
    if (request_.look_up && !plan_.fetches.empty()) {
      std::vector<Digest> wanted;
      for (const Fetch& fetch : plan_.fetches) wanted.push_back(fetch.digest);
      std::vector<std::optional<Copy>> found(wanted.size());
      if (request_.look_up(wanted, found)) {
        standing.add_found(wanted, found);
        CAIRN_TRY(plan_, plan_with(standing));
      }
    }
    reused_packs_.assign(standing.reused_packs().begin(), standing.reused_packs().end());
    return {};
  }

  Result<TransferPlan> plan_with(StandingCopies& standing) {
    return plan_transfer(from_, standing, request_.connections, request_.call.stop);
  }

  void tell_plan(const BaseTag* base) {
    result_.facts.new_bytes = plan_.new_bytes;
    result_.facts.new_chunks = plan_.new_chunks;
    result_.reused_bytes = result_.facts.logical_bytes - plan_.new_bytes;
    result_.moved_bytes = plan_.fetch_bytes;
    if (base != nullptr) result_.base = base->tag().name;
    if (request_.call.progress != nullptr) {
      request_.call.progress->total_bytes = plan_.fetch_bytes;
    }
  }

  Result<TagEntry> write() {
    BaseTag* const base = session_->base();
    CAIRN_CHECK(plan(base));
    tell_plan(base);
    CAIRN_TRY(const Fetched fetched, fetch());
    result_.received_bytes = fetched.received_bytes;
    CAIRN_CHECK(session_->packs().finish());
    MetaWriter& metas = session_->metas();
    CAIRN_TRY(TagEntry entry, write_moved_tag(from_, plan_, fetched.copies, base, metas));
    entry.name = name_;
    entry.session = session_->id();
    entry.pinned = false;
    entry.facts = result_.facts;
    entry.facts.stored_bytes = session_->packs().stored_bytes();
    entry.facts.stored_bytes += metas.sealed_bytes_after(encode_tag_entry(entry).size());
    CAIRN_CHECK(metas.add(ObjectKind::kTagEntry, encode_tag_entry(entry)));
    CAIRN_CHECK(metas.finish());
    CAIRN_CHECK(prove(entry));
    CAIRN_CHECK(not_stopped());
    return entry;
  }

  Result<Fetched> fetch() {
    const Origin origin{from_.store().config().store_id, from_.tag().manifest.digest};
    FetchRequest how;
    how.threads = request_.connections;
    how.call = request_.call;
    if (!plan_.fetches.empty()) {
      CAIRN_TRY(journal_, ArrivalJournal::begin(to_, session_->id(), origin));
      CAIRN_TRY(how.arrived, resume(origin));
      if (request_.call.progress != nullptr) {
        request_.call.progress->done_bytes += result_.resumed_bytes;
      }
    }
    how.journal = journal_.get();
    return fetch_copies(from_.store(), plan_.fetches, session_->packs(), how);
  }

  /// Per fetch, where an earlier call has brought it.
  Result<std::vector<std::optional<Copy>>> resume(const Origin& origin) {
    if (!request_.resumes) return std::vector<std::optional<Copy>>();
    if (to_.fs().conditional() == nullptr) {
      CAIRN_TRY(Resumed resumed, resume_arrivals(to_, origin, plan_.fetches, session_->packs(),
                                                 *journal_, request_.call.stop));
      result_.resumed_bytes = resumed.bytes;
      return std::move(resumed.copies);
    }
    CAIRN_TRY(LeftPacks left, find_left_packs(to_, origin, plan_.fetches));
    result_.resumed_bytes = left.bytes;
    session_->packs().count_file(left.bytes);
    reused_packs_.insert(reused_packs_.end(), left.packs.begin(), left.packs.end());
    left_journals_ = std::move(left.journals);
    return std::move(left.copies);
  }

  /// Decodes what was fetched and is made from other copies: where that is near. Their stored bytes
  /// are the same on both sides.
  Status prove(const TagEntry& entry) const {
    if (to_.fs().read_habits().is_remote) return prove_in(from_);
    CAIRN_TRY(const auto arrived, Checkpoint::open(to_, entry));
    return prove_in(*arrived);
  }

  Status prove_in(Checkpoint& checkpoint) const {
    std::vector<CopyRef> refs;
    for (const auto& [page, chosen] : plan_.pages) {
      for (uint32_t slot = 0; slot < chosen.slots.size(); ++slot) {
        const auto& choice = chosen.slots[slot];
        if (!choice || !choice->fetch || plan_.fetches[*choice->fetch].bases.empty()) continue;
        CAIRN_TRY(refs.emplace_back(), checkpoint.page_numbers().resolve({page, slot}));
      }
    }
    CAIRN_TRY(const auto groups, group_chains(checkpoint, refs));
    PackReader packs(checkpoint.store());
    return parallel_for(groups.size(), request_.call.threads, [&](uint64_t i) -> Status {
      CAIRN_CHECK(not_stopped());
      std::vector<CopyRef> chain;
      for (const uint32_t number : groups[i]) chain.push_back(refs[number]);
      return ChainReader(checkpoint, packs).read(chain, [](size_t, ByteSpan) { return Status(); });
    });
  }

  Status not_stopped() const {
    if (request_.call.stop == nullptr || !*request_.call.stop) return {};
    return fail(Code::kCancelled, "the transfer was stopped");
  }

  /// Once the tag may be visible nobody may take its packs for what was left of a transfer.
  Status end_journal() {
    if (journal_ == nullptr) return {};
    CAIRN_CHECK(journal_->remove());
    return to_.fs().sync_folder(join_path(to_.path(), "sessions"));
  }

  Result<TransferResult> commit(const TagEntry& entry) {
    CAIRN_CHECK(end_journal());
    CAIRN_TRY(const CommitResult committed,
              commit_tag(to_, entry, request_.if_exists, reused_packs_,
                         {request_.call.wait, request_.call.stop}, failure_));
    result_.facts = committed.entry.facts;
    // What cannot be removed is gc's to find.
    for (const std::string& journal : left_journals_) (void)to_.fs().remove(journal).has_value();
    if (committed.already && committed.entry.session != session_->id()) {
      say_already_there(committed.entry);
      session_->remove_files();
    }
    session_->end();
    return result_;
  }

  Checkpoint& from_;
  const Store& to_;
  const TransferRequest& request_;
  const std::string& name_;
  PackTables tables_;
  std::unique_ptr<SaveSession> session_;
  std::unique_ptr<ArrivalJournal> journal_;
  TransferPlan plan_;
  std::vector<FileId> reused_packs_;
  std::vector<std::string> left_journals_;  // of sessions that this one goes on from
  CommitFailure failure_;
  TransferResult result_;
};

}  // namespace

static Status check_rules(const Store& from, const Store& to) {
  const Config &a = from.config(), &b = to.config();
  if (a.chunk_elements == b.chunk_elements && a.opaque_chunk_bytes == b.opaque_chunk_bytes &&
      has_content_cuts(a) == has_content_cuts(b)) {
    return {};
  }
  return fail(
      Code::kUsage,
      fmt::format("'{}' and '{}' cut chunks by different rules ({} and {} elements a chunk, {} and "
                  "{} bytes of attachments), so that no chunk of one is one of the other",
                  from.path(), to.path(), a.chunk_elements, b.chunk_elements, a.opaque_chunk_bytes,
                  b.opaque_chunk_bytes),
      fmt::format("make the other store with 'cairn init --chunk-elements {}', or export the tag "
                  "and import it there",
                  a.chunk_elements));
}

static Result<TransferResult> transfer(const Store& from, const Store& to,
                                       const TransferRequest& request) {
  const Stopwatch watch;
  const std::string& name = request.as.empty() ? request.tag : request.as;
  CAIRN_CHECK(check_tag_name(name));
  CAIRN_CHECK(check_may_write(to.config()));
  CAIRN_CHECK(check_rules(from, to));
  CAIRN_TRY(const auto checkpoint, open_tag(from, request.tag));
  const auto move = [&](Checkpoint& latest) -> Result<TransferResult> {
    Transfer first(latest, to, request, name);
    auto moved = first.run();
    if (moved || !first.lost_reused()) return moved;
    TransferRequest again = request;
    again.look_up = nullptr;
    again.resumes = false;
    return Transfer(latest, to, again, name).run();
  };
  CAIRN_TRY(TransferResult result, read_where_it_is(*checkpoint, move));
  result.elapsed_s = watch.seconds();
  return result;
}

Result<TransferResult> transfer_tag(const Store& from, const Store& to,
                                    const TransferRequest& request) {
  return guard_memory([&] { return transfer(from, to, request); });
}

}  // namespace cairn
