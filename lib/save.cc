// The save, step by step (docs/PROTOCOL.md says what holds when it ends between two of them):
//   plan      which chunks there are; everything wrong with the request is found here
//   base      the tag to compare with, from a first look at the root
//   lease     tells collectors what this save counts on; durable before the second look
//   look      the root again: a base that is no longer there as it was is not used
//   chunks    digest, compare, look up, write what is new
//   metadata  pages, locators, table, manifest; then packs and metadata are made durable
//   commit    one replacement of the root makes the tag visible
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/memory_guard.h"
#include "lib/base_closure.h"
#include "lib/base_tag.h"
#include "lib/cairn.hpp"
#include "lib/chunk_saver.h"
#include "lib/chunk_writer.h"
#include "lib/save_plan.h"
#include "store/base_cycles.h"
#include "store/meta_pack.h"
#include "store/session.h"
#include "store/tag_name.h"

namespace cairn {
namespace {

/// One save on its way through the steps.
class Save {
 public:
  Save(const Store& store, const SaveRequest& request, const Stopwatch& watch)
      : store_(store), request_(request), watch_(watch) {}

  Result<SaveResult> run() {
    CAIRN_CHECK(check_tag_name(request_.tag));
    CAIRN_CHECK(check_may_write(store_.config()));
    CAIRN_TRY(plan_, plan_save(request_, store_.config()));
    CAIRN_CHECK(lease_base());
    // Guarded by itself: what was written goes when memory runs out too. Not so the commit, after
    // which nobody knows.
    const Result<TagEntry> entry = guard_memory([&] { return write(); });
    auto result = entry ? commit(*entry) : tl::unexpected(entry.error());
    if (!result && !failure_.may_be_visible) remove_leftovers();
    return result;
  }

  /// Whether the commit was refused because a copy that a look-up found is gone.
  bool lost_reused() const { return failure_.lost_reused; }
  /// The tag to compare with of which something could not be read.
  std::string damaged_base() const {
    return base_ != nullptr && base_->unread() > 0 ? base_->tag().name : damaged_base_;
  }

 private:
  Status lease_base() {
    const auto ask = [&](TagBook& before) -> Result<std::optional<TagEntry>> {
      CAIRN_CHECK(refuse_early(before));
      return choose_base(before, request_.tag, request_.base);
    };
    CAIRN_TRY(const auto chosen, store_.ask_tags(ask));
    std::optional<LeasedBase> lease;
    if (chosen) {
      auto opened = BaseTag::open(store_, *chosen);
      // A base that cannot be read costs bytes, not the save.
      if (opened) base_ = *std::move(opened);
      if (!opened) damaged_base_ = chosen->name;
      if (base_ != nullptr) lease = base_->lease();
      if (lease && lease->packs.size() > kLeasedPacksMax) {
        base_.reset();
        lease.reset();
      }
    }
    CAIRN_TRY(session_, Session::begin(store_.fs(), store_.path(), request_.tag, lease));
    if (base_ == nullptr) return {};
    const auto stands_still = [&](TagBook& after) -> Result<bool> {
      CAIRN_TRY(const TagEntry* entry, after.find(base_->tag().name));
      return entry != nullptr && entry->table == base_->tag().table;
    };
    CAIRN_TRY(const bool is_there, store_.ask_tags(stands_still));
    if (!is_there) base_.reset();
    return {};
  }

  /// A tag that exists is refused before the work; the commit decides for good.
  Status refuse_early(TagBook& tags) const {
    if (request_.if_exists != IfExists::kError) return {};
    CAIRN_TRY(const TagEntry* standing, tags.find(request_.tag));
    if (standing == nullptr) return {};
    return fail(Code::kExists, fmt::format("the tag '{}' exists already", request_.tag),
                "choose another name, or '--if-exists replace'");
  }

  /// How many saves ago weights were stored such that they need nothing else; 0: by this one.
  uint32_t weights_age() const {
    if (base_ == nullptr || request_.pinned) return 0;
    const uint32_t age = base_->tag().facts.weights_age + 1;
    return age >= request_.weights_every && request_.weights_every != 0 ? 0 : age;
  }

  Result<TagEntry> write() {
    if (base_ != nullptr) base_->match(plan_.schema, plan_.attachment_infos);
    packs_.emplace(store_.fs(), store_.path(), session_->id(), store_.config().pack_bytes);
    metas_.emplace(store_.fs(), store_.path(), session_->id());
    ChunkWriter chunks(*packs_, session_->id(), request_.call.progress);
    ChunkSaver saver(store_, request_, plan_, base_.get(), chunks, weights_age() == 0);
    CAIRN_CHECK(saver.run());
    if (request_.check_sources) CAIRN_CHECK(request_.check_sources());
    CAIRN_CHECK(packs_->finish());
    CAIRN_TRY(TagEntry entry, write_metadata(saver, chunks));
    CAIRN_CHECK(metas_->finish());
    if (request_.call.stop != nullptr && *request_.call.stop) {
      return fail(Code::kCancelled, "the save was stopped");
    }
    reused_packs_ = chunks.reused_packs();
    return entry;
  }

  Result<SaveResult> commit(const TagEntry& entry) {
    CAIRN_TRY(const CommitResult committed,
              commit_tag(store_, entry, request_.if_exists, reused_packs_,
                         {request_.call.wait, request_.call.stop}, failure_));
    return finish(committed);
  }

  Result<Reference> put(ObjectKind kind, const Bytes& bytes) { return metas_->add(kind, bytes); }

  /// Pages and locators, those of the base where they are equal.
  Result<LocatorTable> write_pages(ChunkSaver& saver, Manifest& manifest) {
    LocatorTable table;
    manifest.pages = saver.page_digests();
    BaseClosure closure(base_.get(), manifest.pages);
    // Bases are found by the digest of their page: equal pages have one locator, the first one's.
    std::map<Digest, uint64_t> times;
    for (const Digest& page : manifest.pages) ++times[page];
    std::map<Digest, PagePlace> places;
    std::map<Digest, Locator> own;
    for (size_t number = 0; number < manifest.pages.size(); ++number) {
      const Digest& page = manifest.pages[number];
      const auto [place, fresh] = places.try_emplace(page);
      if (fresh) {
        CAIRN_TRY(Locator copies, saver.locator(number, manifest.pages));
        CAIRN_TRY(place->second, place_page(saver, number, page, copies));
        CAIRN_CHECK(closure.add(copies, times[page]));
        if (times.size() < manifest.pages.size()) own[page] = own_bases(copies, times);
      }
      table.pages.push_back(place->second);
    }
    CAIRN_CHECK(refuse_circles(own, table));
    CAIRN_CHECK(closure.finish(table));
    return table;
  }

  /// The locator with nothing but bases of these pages.
  static Locator own_bases(const Locator& locator, const std::map<Digest, uint64_t>& pages) {
    Locator own;
    for (const Copy& copy : locator.copies) {
      Copy& bare = own.copies.emplace_back();
      for (const BaseRef& base : copy.bases) {
        if (pages.contains(base.page)) bare.bases.push_back(base);
      }
    }
    return own;
  }

  /// Where pages are equal, copies of one stand for those of the other, and these may be made from
  /// the former. Then all is stored without the base: weights by themselves, masters from them.
  Status refuse_circles(const std::map<Digest, Locator>& own, const LocatorTable& table) {
    if (own.empty()) return {};
    const auto read = [&](size_t page) -> Result<Locator> {
      return own.at(table.pages[page].page.digest);
    };
    CAIRN_TRY(failure_.lost_reused, has_base_cycle(table, read));
    if (!failure_.lost_reused) return {};
    return fail(Code::kBug, "copies are made from each other in a circle");
  }

  /// Where a page lies. The base's own where its locator is the same; and where the base has the
  /// page otherwise stored, and copies written just now are made from others, what it has: these
  /// others may be made from that page. `copies` becomes what the locator says.
  Result<PagePlace> place_page(ChunkSaver& saver, size_t number, const Digest& page,
                               Locator& copies) {
    PagePlace place;
    if (base_ != nullptr) {
      if (const auto same = base_->equal_page(page, blake3(encode_locator(copies)))) return *same;
      const bool has_bases = std::any_of(copies.copies.begin(), copies.copies.end(),
                                         [](const Copy& copy) { return !copy.bases.empty(); });
      const auto standing = base_->page_of(page);
      if (has_bases && standing) {
        auto others = saver.sound_copies(number, page, copies);
        failure_.lost_reused = !others;
        if (!others) {
          return fail(Code::kCorrupt, "what the base tag has of this checkpoint is damaged");
        }
        copies = *std::move(others);
        place = *standing;
        const Bytes locator = encode_locator(copies);
        if (blake3(locator) == place.locator.digest) return place;
        CAIRN_TRY(place.locator, put(ObjectKind::kLocator, locator));
        return place;
      }
    }
    CAIRN_TRY(place.page, put(ObjectKind::kPage, encode_page(saver.page(number))));
    CAIRN_TRY(place.locator, put(ObjectKind::kLocator, encode_locator(copies)));
    return place;
  }

  Result<TagEntry> write_metadata(ChunkSaver& saver, const ChunkWriter& chunks) {
    TagEntry entry;
    Manifest manifest{request_.step,          {}, request_.metadata, request_.file_metadata,
                      plan_.attachment_infos, {}};
    CAIRN_TRY(LocatorTable table, write_pages(saver, manifest));
    const Bytes schema = encode_schema(plan_.schema);
    manifest.schema = blake3(schema);
    const auto shared = base_ == nullptr ? std::nullopt : base_->equal_schema(manifest.schema);
    if (shared) {
      entry.schema = *shared;
    } else {
      CAIRN_TRY(entry.schema, put(ObjectKind::kSchema, schema));
    }
    CAIRN_TRY(entry.manifest, put(ObjectKind::kManifest, encode_manifest(manifest)));
    table.manifest = entry.manifest.digest;
    CAIRN_TRY(entry.table, put(ObjectKind::kLocatorTable, encode_locator_table(table)));
    if (plan_.layout) {
      const Bytes layout = encode_layout(*plan_.layout, plan_.schema);
      if (base_ != nullptr) entry.layout = base_->equal_layout(blake3(layout));
      if (!entry.layout) {
        CAIRN_TRY(entry.layout, put(ObjectKind::kLayout, layout));
      }
    }
    describe(entry, chunks);
    entry.facts.stored_bytes += metas_->sealed_bytes_after(encode_tag_entry(entry).size());
    CAIRN_CHECK(put(ObjectKind::kTagEntry, encode_tag_entry(entry)));
    return entry;
  }

  void describe(TagEntry& entry, const ChunkWriter& chunks) const {
    entry.name = request_.tag;
    entry.created_ns = now_ns();
    entry.step = request_.step;
    entry.session = session_->id();
    entry.pinned = request_.pinned;
    entry.facts = {.logical_bytes = plan_.logical_bytes,
                   .new_bytes = chunks.new_bytes(),
                   .stored_bytes = packs_->stored_bytes(),
                   .attachment_bytes = plan_.attachment_bytes,
                   .tensors = plan_.tensors.size(),
                   .chunks = 0,
                   .new_chunks = chunks.new_chunks(),
                   .weights_age = weights_age()};
    for (const TensorInfo& tensor : plan_.schema.tensors) entry.facts.chunks += tensor.chunk_count;
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
      remove_leftovers();
    }
    result.reused_bytes = result.facts.logical_bytes - result.facts.new_bytes;
    if (base_ != nullptr) result.base = base_->tag().name;
    result.damaged_base = damaged_base();
    if (base_ != nullptr) result.unread_chunks = base_->unread();
    result.elapsed_s = watch_.seconds();
    // The tag is published: a lease that cannot be removed is gc's to find.
    (void)session_->end().has_value();
    return result;
  }

  void remove_leftovers() {
    if (session_ == nullptr || !packs_) return;
    const uint32_t packs = packs_->packs_begun();
    packs_.reset();
    session_->remove_files(packs, metas_->metas_begun());
  }

  const Store& store_;
  const SaveRequest& request_;
  const Stopwatch& watch_;
  SavePlan plan_;
  std::unique_ptr<BaseTag> base_;
  std::string damaged_base_;  // that could not even be opened
  std::unique_ptr<Session> session_;
  std::optional<PackWriter> packs_;
  std::optional<MetaWriter> metas_;
  std::vector<FileId> reused_packs_;
  CommitFailure failure_;
};

}  // namespace

static Result<SaveResult> save_or_again(const Store& store, const SaveRequest& request) {
  const Stopwatch watch;
  Save first(store, request, watch);
  auto saved = first.run();
  if (saved || !first.lost_reused()) return saved;
  // The bytes are still here: write them, as a session of its own, whatever stands in the store.
  SaveRequest again = request;
  again.look_up = nullptr;
  again.base = "none";
  if (again.call.progress != nullptr) {
    again.call.progress->done_bytes = again.call.progress->new_bytes = 0;
  }
  auto saved_again = Save(store, again, watch).run();
  if (saved_again) saved_again->damaged_base = first.damaged_base();
  return saved_again;
}

Result<SaveResult> save(const Store& store, const SaveRequest& request) {
  return guard_memory([&] { return save_or_again(store, request); });
}

}  // namespace cairn
