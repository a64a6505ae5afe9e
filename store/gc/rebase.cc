// The steps C1 to C5 of docs/PROTOCOL.md, section 6, for copies that are stored anew by themselves:
// C1 is the plan; C2 a lease; C3 packs with the new copies, locators that name them, tables; C4 the
// exchange of entries; C5 the lease goes.
#include "store/gc/rebase.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "base/pipeline.h"
#include "base/stop.h"
#include "store/chain_reader.h"
#include "store/encode_alone.h"
#include "store/gc/tag_swap.h"
#include "store/pack_writer.h"
#include "store/session.h"

namespace cairn {
namespace {

class Rebase {
 public:
  Rebase(const Store& store, const RebasePlan& plan, const MoveRequest& request, Rebased& rebased)
      : store_(store), plan_(plan), request_(request), rebased_(rebased), reader_(store) {}

  Status run(const Survey& survey) {
    CAIRN_TRY(const auto session,
              Session::begin(store_.fs(), store_.path(), "", std::nullopt, LeaseKind::kMove));
    PackWriter packs(store_, session->id());
    MetaWriter metas(store_.fs(), store_.path(), session->id());
    SwapOutcome outcome;
    const Status done = write_and_swap(survey, *session, packs, metas, outcome);
    rebased_.moved.changes = outcome.changes;
    if (outcome.changes == 0 && !outcome.may_be_visible) {
      rebased_.moved.written_bytes = rebased_.copies = 0;
      session->remove_files(packs.packs_begun(), metas.metas_begun());
    }
    // A lease that cannot be removed is the next collection's to find.
    (void)session->end().has_value();
    return done;
  }

 private:
  struct Rewritten {
    std::shared_ptr<const LoadedPage> page;
    std::map<uint32_t, Copy> copies;  // by slot
  };
  using ChainCopies = std::map<Digest, Rewritten>;  // by old locator

  Status write_and_swap(const Survey& survey, const Session& session, PackWriter& packs,
                        MetaWriter& metas, SwapOutcome& outcome) {
    CAIRN_CHECK(open_tags());
    CAIRN_CHECK(parallel_for(plan_.chains.size(), request_.threads, [&](uint64_t number) {
      return try_chain(plan_.chains[number], packs);
    }));
    CAIRN_CHECK(packs.finish());
    const MovePlan nothing;
    TagMover mover(store_, nothing, session.id(), metas);
    CAIRN_CHECK(replace_locators(mover, metas));
    TagBook book = survey.book;
    CAIRN_TRY(const PlannedSwaps planned, plan_swaps(store_, survey.list, book, mover));
    CAIRN_CHECK(metas.finish());
    rebased_.moved.written_bytes = packs.stored_bytes() + metas.stored_bytes();
    // The plan knew only about how many bytes copies take by themselves.
    if (rebased_.moved.written_bytes >= plan_.frees_bytes) return {};
    const Status done =
        swap_tags(store_, session.id(), planned.swaps, request_.wait, request_.stop, outcome);
    rebased_.moved.written_bytes += outcome.table_bytes;
    return done;
  }

  Status open_tags() {
    for (const RebaseChain& chain : plan_.chains) {
      const auto [at, fresh] = checkpoints_.try_emplace(chain.tag.name);
      if (!fresh) continue;
      CAIRN_TRY(at->second, Checkpoint::open(store_, chain.tag));
    }
    return {};
  }

  /// What is damaged is as readable afterwards as before, and must not keep the rest from it.
  Status try_chain(const RebaseChain& chain, PackWriter& packs) {
    ChainCopies copies;
    const Status done = rewrite_chain(chain, packs, copies);
    if (!done && done.error().code != Code::kCorrupt) return done;
    const std::lock_guard lock(mutex_);
    if (!done) {
      rebased_.damage.push_back(fmt::format("tag '{}': {}", chain.tag.name, done.error().message));
      return {};
    }
    rebased_.copies += chain.copies.size();
    for (auto& [locator, rewritten] : copies) {
      Rewritten& all = rewritten_[locator];
      all.page = rewritten.page;
      all.copies.merge(rewritten.copies);
    }
    return {};
  }

  Status rewrite_chain(const RebaseChain& chain, PackWriter& packs, ChainCopies& copies) {
    if (is_stopped(request_.stop)) {
      return fail(Code::kCancelled, "the rebase was stopped; all tags are as they were");
    }
    Checkpoint& checkpoint = *checkpoints_.at(chain.tag.name);
    const auto rewrite = [&](size_t number, ByteSpan decoded) -> Status {
      const CopyRef& ref = chain.copies[number];
      CAIRN_TRY(const auto page, checkpoint.page(ref.page));
      const Copy& old = page->locator.copies[ref.slot];
      CAIRN_TRY(Copy stored, store_alone(old, page->digest_of(ref.slot), decoded, packs, reader_));
      const PagePlace& place = checkpoint.table().place(ref.page);
      Rewritten& rewritten = copies[place.locator.digest];
      rewritten.page = page;
      rewritten.copies[ref.slot] = std::move(stored);
      return {};
    };
    return ChainReader(checkpoint, reader_).read(chain.copies, rewrite);
  }

  Status replace_locators(TagMover& mover, MetaWriter& metas) {
    for (auto& [old, rewritten] : rewritten_) {
      Locator locator = rewritten.page->locator;
      for (auto& [slot, copy] : rewritten.copies) locator.copies[slot] = std::move(copy);
      CAIRN_TRY(const Reference place, metas.add(ObjectKind::kLocator, encode_locator(locator)));
      mover.replace_locator(old, place, std::move(locator));
    }
    return {};
  }

  const Store& store_;
  const RebasePlan& plan_;
  const MoveRequest& request_;
  Rebased& rebased_;
  PackReader reader_;
  std::map<std::string, std::unique_ptr<Checkpoint>> checkpoints_;
  std::mutex mutex_;       // of rebased_ and rewritten_
  ChainCopies rewritten_;  // by old locator
};

}  // namespace

Status rebase(const Store& store, const Survey& survey, const RebasePlan& plan,
              const MoveRequest& request, Rebased& rebased) {
  return Rebase(store, plan, request, rebased).run(survey);
}

}  // namespace cairn
