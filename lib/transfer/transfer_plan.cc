// Why no circle arises: a copy of the base rests on copies of the base, in the places that the base
// names; a fetched one on those that the source names, or on copies that stand for the same chunks
// alone or in the base. Two fetched copies of one chunk are taken for one only if it stands alone.
#include "lib/transfer/transfer_plan.h"

#include <fmt/format.h>

#include <mutex>
#include <tuple>
#include <unordered_set>

#include "base/pipeline.h"
#include "store/pack_reader.h"

namespace cairn {
namespace {

class Planner {
 public:
  Planner(Checkpoint& from, const Cargo& cargo, StandingCopies& standing,
          const std::atomic<bool>* stop)
      : from_(from), cargo_(cargo), standing_(standing), stop_(stop) {}

  Result<TransferPlan> run(unsigned threads) {
    // Of a part few of the other pages are needed: those are read when they are.
    if (!cargo_.manifest) CAIRN_CHECK(read_pages(threads));
    make_room();
    for (const CargoPage& page : cargo_.pages) CAIRN_CHECK(want_page(page));
    while (!wanted_.empty()) {
      const BaseRef wanted = wanted_.back();
      wanted_.pop_back();
      CAIRN_TRY(ChosenPage* const chosen, page_of(wanted.page));
      CAIRN_CHECK(choose(wanted.page, *chosen, wanted.slot, false));
    }
    count_inline();
    return std::move(plan_);
  }

 private:
  /// All pages that may be needed and do not stand in the destination, beside each other: each is
  /// a wait for the network.
  Status read_pages(unsigned threads) {
    const LocatorTable& table = from_.table();
    std::map<Digest, size_t> lacking;
    for (size_t number = 0; number < table.page_count(); ++number) {
      const Digest& page = table.place(number).page.digest;
      if (standing_.page_place(page) == nullptr) lacking.try_emplace(page, number);
    }
    std::vector<std::pair<Digest, size_t>> list(lacking.begin(), lacking.end());
    std::mutex mutex;
    return parallel_for(list.size(), threads, [&](uint64_t i) -> Status {
      if (stop_ != nullptr && *stop_) return fail(Code::kCancelled, "the transfer was stopped");
      CAIRN_TRY(auto loaded, from_.page(list[i].second));
      const std::lock_guard lock(mutex);
      source_pages_[list[i].first] = std::move(loaded);
      return {};
    });
  }

  /// For as many copies as may have to be fetched: growing shows where they are small.
  void make_room() {
    size_t copies = 0;
    for (const auto& [digest, page] : source_pages_) copies += page->locator.copies.size();
    plan_.fetches.reserve(copies);
    alone_.reserve(copies);
  }

  Status want_page(const CargoPage& page) {
    CAIRN_TRY(ChosenPage* const chosen, page_of(page.digest));
    for (uint32_t slot = 0; slot < chosen->slots.size(); ++slot) {
      CAIRN_CHECK(choose(page.digest, *chosen, slot, page.is_of_tensors));
    }
    return {};
  }

  Result<ChosenPage*> page_of(const Digest& page) {
    if (const auto known = plan_.pages.find(page); known != plan_.pages.end()) {
      return &known->second;
    }
    ChosenPage chosen;
    if (const PagePlace* place = standing_.page_place(page)) {
      CAIRN_TRY(chosen.loaded, standing_.page(page));
      chosen.place = *place;
      chosen.is_standing = true;
    } else if (const CargoPage* made = cargo_.made(page)) {
      chosen.loaded = made->made;
      chosen.place = made->place;
    } else {
      const auto number = from_.page_numbers().of(page);
      if (!number) {
        return fail(Code::kCorrupt, fmt::format("a copy of tag '{}' is made from a page that it "
                                                "does not have",
                                                from_.tag().name));
      }
      CAIRN_TRY(chosen.loaded, source_page(page, *number));
      chosen.place = from_.table().place(*number);
    }
    chosen.slots.resize(chosen.loaded->locator.copies.size());
    return &(plan_.pages[page] = std::move(chosen));
  }

  /// The page as the source, or what is made of it, has it.
  Result<std::shared_ptr<const LoadedPage>> source_page(const Digest& page, uint32_t number) {
    const auto known = source_pages_.find(page);
    return known != source_pages_.end() ? known->second : from_.page(number);
  }

  Status choose(const Digest& page, ChosenPage& chosen, uint32_t slot, bool is_of_tensor) {
    if (slot >= chosen.slots.size()) {
      return fail(Code::kCorrupt, "a copy is made from one that its page does not have");
    }
    std::optional<ChosenCopy>& choice = chosen.slots[slot];
    if (choice) {
      if (choice->fetch && is_of_tensor) count_new(plan_.fetches[*choice->fetch]);
      return {};
    }
    const Digest digest = chosen.loaded->digest_of(slot);
    CAIRN_TRY(auto stands, standing_.of_place(page, slot));
    if (!stands) {
      CAIRN_TRY(stands, standing_.of_digest(digest));
    }
    if (stands) {
      wanted_.insert(wanted_.end(), stands->bases.begin(), stands->bases.end());
      choice = ChosenCopy{*std::move(stands), std::nullopt};
      return {};
    }
    CAIRN_TRY(const uint32_t number, fetch(page, chosen, slot, digest));
    choice = ChosenCopy{{}, number};
    if (is_of_tensor) count_new(plan_.fetches[number]);
    return {};
  }

  /// Asked before anybody makes room for what a locator says. No copy is larger than its chunk.
  Status check_bounds(const Copy& copy) const {
    const uint64_t most = chunk_bytes_max(from_.store().config());
    if (copy.stored_bytes <= most && copy.decoded_bytes <= most) return {};
    return tl::unexpected(about_copy(
        copy,
        {Code::kCorrupt,
         fmt::format("a locator of tag '{}' says {} bytes of {}, and no chunk has more than {}",
                     from_.tag().name, copy.stored_bytes, copy.decoded_bytes, most),
         ""}));
  }

  /// A page that stands may lack this copy: the source has it all the same.
  Result<Copy> source_copy(const Digest& page, const ChosenPage& chosen, uint32_t slot) {
    if (!chosen.is_standing) return chosen.loaded->locator.copies[slot];
    if (const CargoPage* made = cargo_.made(page)) return made->made->locator.copies[slot];
    const auto number = from_.page_numbers().of(page);
    if (!number) {
      return fail(Code::kCorrupt, "a copy that the destination's tag is made from is gone");
    }
    CAIRN_TRY(const auto loaded, from_.page(*number));
    CAIRN_CHECK(check_slot({*number, slot}, loaded->locator));
    return loaded->locator.copies[slot];
  }

  /// The number of what is fetched for a slot.
  Result<uint32_t> fetch(const Digest& page, const ChosenPage& chosen, uint32_t slot,
                         const Digest& digest) {
    if (const auto alone = alone_.find(digest); alone != alone_.end()) return alone->second;
    CAIRN_TRY(const Copy copy, source_copy(page, chosen, slot));
    CAIRN_CHECK(check_bounds(copy));
    if (standing_.only_alone() && !copy.bases.empty()) {
      return plan_alone(page, slot, digest, copy);
    }
    const auto fresh = static_cast<uint32_t>(plan_.fetches.size());
    if (copy.bases.empty()) {
      alone_[digest] = fresh;
    } else {
      const auto [known, is_new] =
          places_.try_emplace({copy.pack, copy.offset, copy.stored_bytes, digest}, fresh);
      if (!is_new) return known->second;
    }
    Fetch wanted{copy, digest, {}, false};
    for (const BaseRef& base : copy.bases) {
      CAIRN_TRY(const ChosenPage* const base_page, page_of(base.page));
      if (base.slot >= base_page->slots.size()) {
        return fail(Code::kCorrupt, "a copy is made from one that its page does not have");
      }
      wanted.bases.push_back(base_page->loaded->digest_of(base.slot));
    }
    wanted_.insert(wanted_.end(), copy.bases.begin(), copy.bases.end());
    keep(std::move(wanted));
    return fresh;
  }

  Result<uint32_t> plan_alone(const Digest& page, uint32_t slot, const Digest& digest,
                              const Copy& copy) {
    Fetch wanted{copy, digest, {}, false};
    if (const CargoPage* made = cargo_.made(page)) {
      wanted.chain = made->refs[slot];
    } else {
      CAIRN_TRY(wanted.chain, from_.page_numbers().resolve({page, slot}));
    }
    const auto fresh = static_cast<uint32_t>(plan_.fetches.size());
    alone_[digest] = fresh;
    keep(std::move(wanted));
    return fresh;
  }

  void keep(Fetch wanted) {
    count_fetch(plan_, wanted);
    plan_.fetches.push_back(std::move(wanted));
  }

  /// A chunk may be fetched twice: alone, and made from others, once for each place.
  void count_new(Fetch& fetch) {
    if (fetch.is_of_tensor) return;
    fetch.is_of_tensor = true;
    if (fetch.bases.empty()) {
      if (!new_made_.empty() && new_made_.contains(fetch.digest)) return;
    } else {
      const auto alone = alone_.find(fetch.digest);
      const bool is_counted = alone != alone_.end() && plan_.fetches[alone->second].is_of_tensor;
      if (!new_made_.insert(fetch.digest).second || is_counted) return;
    }
    plan_.new_bytes += fetch.copy.decoded_bytes;
    ++plan_.new_chunks;
  }

  /// Chunks that lie in their page are new where the page is.
  void count_inline() {
    for (const CargoPage& own : cargo_.pages) {
      const ChosenPage& page = plan_.pages.at(own.digest);
      if (page.is_standing || !own.is_of_tensors) continue;
      for (const ChunkEntry& entry : page.loaded->page.entries) {
        const auto* const bytes = std::get_if<Bytes>(&entry);
        if (bytes == nullptr) continue;
        plan_.new_bytes += bytes->size();
        ++plan_.new_chunks;
      }
    }
  }

  using Place = std::tuple<FileId, uint64_t, uint32_t, Digest>;

  Checkpoint& from_;
  const Cargo& cargo_;
  StandingCopies& standing_;
  const std::atomic<bool>* const stop_;
  std::map<Digest, std::shared_ptr<const LoadedPage>> source_pages_;
  std::vector<BaseRef> wanted_;
  std::unordered_map<Digest, uint32_t> alone_;  // what is fetched and stands alone
  std::map<Place, uint32_t> places_;            // the rest of it, by where it lies
  std::unordered_set<Digest> new_made_;         // counted, and made from others
  TransferPlan plan_;
};

}  // namespace

void count_fetch(TransferPlan& plan, const Fetch& fetch) {
  plan.fetch_bytes += fetch.chain ? fetch.copy.decoded_bytes : fetch.copy.stored_bytes;
  if (!fetch.bases.empty()) ++plan.made_chunks;
  if (fetch.chain) ++plan.alone_chunks;
}

Result<TransferPlan> plan_transfer(Checkpoint& from, const Cargo& cargo, StandingCopies& standing,
                                   unsigned threads, const std::atomic<bool>* stop) {
  return Planner(from, cargo, standing, stop).run(threads);
}

}  // namespace cairn
