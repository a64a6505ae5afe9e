// The save, step by step (docs/PROTOCOL.md says what holds when it ends between two of them):
//   plan      which chunks there are; everything wrong with the request is found here
//   base      the tag to compare with, from a first look at the root
//   lease     tells collectors what this save counts on; durable before the second look
//   look      the root again: a base that is no longer there as it was is not used
//   chunks    digest, compare, look up, write what is new; or take what parts of the save have
//   metadata  pages, locators, table, manifest; then packs and metadata are made durable
//   commit    one replacement of the root makes the tag visible
#include <fmt/format.h>

#include "base/clock.h"
#include "base/memory_guard.h"
#include "base/stop.h"
#include "lib/cairn.hpp"
#include "lib/merge_parts.h"
#include "lib/read_parts.h"
#include "lib/save_plan.h"
#include "lib/save_session.h"
#include "lib/staged_request.h"
#include "lib/stored_chunks.h"
#include "lib/tag_metadata.h"
#include "lib/tripwires.h"
#include "store/tag_name.h"
#include "store/writable.h"

namespace cairn {
namespace {

/// One save on its way through the steps.
class Save {
 public:
  Save(const Store& store, const SaveRequest& request, StagedSave* staged, const Stopwatch& watch)
      : store_(store), request_(request), staged_(staged), watch_(watch) {}

  Result<SaveResult> run() {
    warnings_ = request_.warnings;
    CAIRN_CHECK(check_tag_name(request_.tag));
    CAIRN_CHECK(check_may_write(store_));
    CAIRN_CHECK(plan());
    CAIRN_TRY(session_, begin());
    // Guarded by itself: what was written goes when memory runs out too. Not so the commit, after
    // which nobody knows.
    const Result<TagEntry> entry = guard_memory([&] { return write(); });
    auto result = entry ? commit(*entry) : tl::unexpected(entry.error());
    if (!result && !failure_.may_be_visible) session_->remove_files();
    return result;
  }

  /// Whether it was refused because copies that it reused are gone, and their bytes are still here.
  bool lost_reused() const { return failure_.lost_reused && parts_.empty() && staged_ == nullptr; }
  /// The tag to compare with of which something could not be read.
  std::string damaged_base() const { return session_ ? session_->damaged_base() : ""; }

 private:
  Status plan() {
    CAIRN_TRY(parts_, read_parts(store_, request_));
    CAIRN_TRY(plan_, parts_.empty() ? plan_save(request_, store_.config())
                                    : plan_merged(request_, parts_, store_.config()));
    return {};
  }

  Result<std::unique_ptr<SaveSession>> begin() const {
    auto session = SaveSession::begin(store_, request_, base_name(request_, parts_));
    const bool is_base_gone =
        !session && session.error().code == Code::kNotFound && !parts_.empty();
    if (is_base_gone) CAIRN_CHECK(check_parts_base(parts_, request_, nullptr));
    return session;
  }

  Result<TagEntry> write() {
    BaseTag* const base = session_->base();
    if (!parts_.empty()) CAIRN_CHECK(check_parts_base(parts_, request_, base));
    StoredChunks chunks(store_, request_, plan_, *session_, staged_);
    CAIRN_CHECK(chunks.store());
    CAIRN_TRY(merged_, merge_parts(parts_, plan_, base, chunks.pages()));
    warnings_.insert(warnings_.end(), merged_.warnings.begin(), merged_.warnings.end());
    CAIRN_CHECK(chunks.finish());
    CAIRN_TRY(TagEntry entry, write_metadata(chunks.pages(), chunks.writer()));
    CAIRN_CHECK(session_->metas().finish());
    CAIRN_CHECK(unless_stopped(request_.call.stop, "the save"));
    return entry;
  }

  Result<TagEntry> write_metadata(SavedPages& pages, const ChunkWriter& chunks) {
    TagEntry entry;
    MetaWriter& metas = session_->metas();
    TagMetadata metadata(request_, plan_, session_->base(), pages, metas);
    const Status written = metadata.write_pages();
    failure_.lost_reused = metadata.lost_reused();
    if (!written)
      return is_of_parts(written.error()) ? cannot_unite(written.error())
                                          : tl::unexpected(written.error());
    look_for_signs(pages, metadata.page_digests());
    CAIRN_CHECK(metadata.write(told_metadata(), entry));
    reused_packs_ = parts_.empty()
                        ? chunks.reused_packs()
                        : unleased_packs(metadata.packs(), session_->id(), session_->base());
    describe(entry, chunks);
    entry.facts.stored_bytes += metas.sealed_bytes_after(encode_tag_entry(entry).size());
    CAIRN_CHECK(metas.add(ObjectKind::kTagEntry, encode_tag_entry(entry)));
    return entry;
  }

  /// Whether parts stored anew may do where these did not: their base is damaged, or was written
  /// anew meanwhile, or copies of several are made from each other.
  bool is_of_parts(const Error& error) const {
    return !parts_.empty() && (failure_.lost_reused || error.code == Code::kCorrupt);
  }
  tl::unexpected<Error> cannot_unite(const Error& error) const {
    return fail(
        Code::kBusy,
        fmt::format("the parts of '{}' do not fit each other: {}", request_.tag, error.message),
        "save again, with the base 'none'");
  }

  /// Of a state that is not what was trained.
  void look_for_signs(const SavedPages& pages, std::span<const Digest> digests) {
    BaseTag* const base = session_->base();
    if (base == nullptr) return;
    const auto signs = tripwires(changes_since(*base, plan_, pages, digests, request_.optimizer),
                                 {base->tag().name, base->tag().step, request_.step});
    warnings_.insert(warnings_.end(), signs.begin(), signs.end());
  }

  /// The user's metadata, and the warnings. Where the same checkpoint may be there, it says those
  /// that it was saved with: they tell of what was there before it.
  Metadata told_metadata() const {
    Metadata metadata = request_.metadata;
    const auto standing =
        request_.if_exists == IfExists::kSame ? standing_metadata() : std::nullopt;
    if (!standing) {
      record_warnings(warnings_, metadata);
    } else if (const auto told = standing->find(kWarningsKey); told != standing->end()) {
      metadata.insert(*told);
    }
    return metadata;
  }

  /// Of the tag that has the name now; nullopt when there is none, or it cannot be read.
  std::optional<Metadata> standing_metadata() const {
    const auto tag = store_.find_tag(request_.tag);
    const auto standing = tag ? Checkpoint::open(store_, *tag) : tl::unexpected(tag.error());
    return standing ? std::optional((*standing)->manifest().metadata) : std::nullopt;
  }

  void describe(TagEntry& entry, const ChunkWriter& chunks) const {
    entry.name = request_.tag;
    entry.created_ns = now_ns();
    entry.step = request_.step;
    entry.session = session_->id();
    entry.pinned = request_.pinned;
    entry.facts = {.logical_bytes = plan_.logical_bytes,
                   .new_bytes = chunks.new_bytes() + merged_.new_bytes,
                   .stored_bytes = session_->packs().stored_bytes(),
                   .attachment_bytes = plan_.attachment_bytes,
                   .tensors = plan_.tensors.size(),
                   .chunks = 0,
                   .new_chunks = chunks.new_chunks() + merged_.new_chunks,
                   .weights_age = session_->weights_age(request_)};
    if (!parts_.empty()) entry.facts.weights_age = 0;
    for (const Part& part : parts_) {
      entry.facts.stored_bytes += part.stored_bytes;
      entry.facts.weights_age = std::max(entry.facts.weights_age, part.weights_age);
    }
    for (const TensorInfo& tensor : plan_.schema.tensors) entry.facts.chunks += tensor.chunk_count;
  }

  Result<SaveResult> commit(const TagEntry& entry) {
    CAIRN_TRY(const CommitResult committed,
              commit_tag(store_, entry, request_.if_exists, reused_packs_,
                         {request_.call.wait, request_.call.stop}, failure_));
    return finish(committed);
  }

  SaveResult finish(const CommitResult& committed) {
    SaveResult result;
    result.tag = request_.tag;
    result.manifest = committed.entry.manifest.digest;
    result.facts = committed.entry.facts;
    result.already_there = committed.already;
    if (committed.already && committed.entry.session != session_->id()) {
      // The tag stands on files of an earlier save; nothing of this session is in use.
      result.facts.new_bytes = result.facts.new_chunks = result.facts.stored_bytes = 0;
      session_->remove_files();
    }
    result.reused_bytes = result.facts.logical_bytes - result.facts.new_bytes;
    const BaseTag* const base = session_->base();
    if (base != nullptr) result.base = base->tag().name;
    result.damaged_base = damaged_base();
    if (base != nullptr) {
      result.unread_chunks = base->unread();
      for (const Part& part : parts_) result.unread_chunks += part.unread_chunks;
      if (result.unread_chunks > 0) result.damaged_base = base->tag().name;
    }
    result.warnings = std::move(warnings_);
    if (staged_ != nullptr) {
      result.notes = staged_->notes();
      result.brought_bytes = staged_->brought_bytes();
    }
    result.elapsed_s = watch_.seconds();
    session_->end();
    return result;
  }

  const Store& store_;
  const SaveRequest& request_;
  StagedSave* const staged_;
  const Stopwatch& watch_;
  std::vector<Part> parts_;
  SavePlan plan_;
  std::unique_ptr<SaveSession> session_;
  std::vector<FileId> reused_packs_;
  MergedParts merged_;
  std::vector<std::string> warnings_;  // of the state; none is an error
  CommitFailure failure_;
};

}  // namespace

static Result<SaveResult> save_or_again(const Store& store, const SaveRequest& given) {
  const Stopwatch watch;
  CAIRN_TRY(const auto staged, StagedRequest::of(given, store.config().chunk_elements));
  const SaveRequest& request = staged.request();
  Save first(store, request, staged.staged(), watch);
  auto saved = first.run();
  if (saved || !first.lost_reused()) return saved;
  // The bytes are still here: write them, as a session of its own, whatever stands in the store.
  SaveRequest again = request;
  again.look_up = nullptr;
  again.base = "none";
  if (again.call.progress != nullptr) {
    again.call.progress->done_bytes = again.call.progress->new_bytes = 0;
  }
  auto saved_again = Save(store, again, nullptr, watch).run();
  if (saved_again) saved_again->damaged_base = first.damaged_base();
  return saved_again;
}

Result<SaveResult> save(const Store& store, const SaveRequest& request) {
  return guard_memory([&] { return save_or_again(store, request); });
}

}  // namespace cairn
