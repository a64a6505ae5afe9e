#include "lib/tag_usage.h"

#include <set>

#include "lib/describe.h"
#include "store/copy_counter.h"

namespace cairn {
namespace {

/// Calls in turn on_copy, on_inline and on_base for all that items are read from.
class ReadWalk {
 public:
  using OnCopy = std::function<void(const std::string& class_name, const Digest&, const Copy&)>;
  using OnInline = std::function<void(const std::string& class_name, const Bytes&)>;
  using OnBase = std::function<void(const Copy&)>;

  /// `passed_over`: the numbers of pages that are not looked at.
  ReadWalk(Checkpoint& checkpoint, const WantsItem& wants, std::set<size_t> passed_over = {})
      : checkpoint_(checkpoint), wants_(wants), passed_over_(std::move(passed_over)) {}

  Status run(const OnCopy& on_copy, const OnInline& on_inline, const OnBase& on_base) {
    CAIRN_TRY(const Layout layout, checkpoint_.layout());
    met_.resize(checkpoint_.table().pages.size());
    for (size_t number = 0; number < met_.size(); ++number) {
      if (passed_over_.contains(number)) continue;
      for (const PageRun& run : checkpoint_.plan().pages[number]) {
        if (!wants_(run.item)) continue;
        const std::string class_name =
            checkpoint_.is_tensor(run.item) ? tensor_class(layout, run.item) : "attachment";
        CAIRN_CHECK(walk(number, run, class_name, on_copy, on_inline));
      }
    }
    const auto read = [&](size_t number) -> Result<Locator> {
      CAIRN_TRY(const auto page, checkpoint_.page(number));
      Locator locator = page->locator;
      // Nor is what copies of such pages are made from.
      if (passed_over_.contains(number)) {
        for (Copy& copy : locator.copies) copy.bases.clear();
      }
      return locator;
    };
    const auto visit = [&](const CopyRef& ref, const Copy& copy) -> Status {
      if (passed_over_.contains(ref.page)) return {};
      const bool is_met =
          ref.page < met_.size() && ref.slot < met_[ref.page].size() && met_[ref.page][ref.slot];
      if (!is_met) on_base(copy);
      return {};
    };
    return follow_bases(std::move(bases_), checkpoint_.page_numbers(), read, visit);
  }

 private:
  Status walk(size_t number, const PageRun& run, const std::string& class_name,
              const OnCopy& on_copy, const OnInline& on_inline) {
    CAIRN_TRY(const auto page, checkpoint_.page(number));
    met_[number].resize(page->locator.copies.size());
    for (size_t entry = run.first_entry; entry < run.first_entry + run.chunk_count; ++entry) {
      const ChunkEntry& chunk = page->page.entries[entry];
      if (const auto* bytes = std::get_if<Bytes>(&chunk)) on_inline(class_name, *bytes);
      size_t slot = page->first_slots[entry];
      for (const Copy& copy : page->copies(entry)) {
        met_[number][slot++] = true;
        for (const BaseRef& base : copy.bases) {
          CAIRN_TRY(bases_.emplace_back(), checkpoint_.page_numbers().resolve(base));
        }
      }
      for_each_stored(chunk, page->copies(entry), [&](const Digest& digest, const Copy& copy) {
        on_copy(class_name, digest, copy);
      });
    }
    return {};
  }

  Checkpoint& checkpoint_;
  const WantsItem& wants_;
  const std::set<size_t> passed_over_;
  std::vector<std::vector<bool>> met_;  // by page and slot: copies that stand for chunks
  std::vector<CopyRef> bases_;
};

/// The pages that `other` has, too, stored in the same way.
std::set<size_t> shared_pages(Checkpoint& checkpoint, Checkpoint& other) {
  std::set<std::pair<Digest, Digest>> of_other;
  for (const PagePlace& place : other.table().pages) {
    of_other.emplace(place.page.digest, place.locator.digest);
  }
  std::set<size_t> shared;
  const auto& pages = checkpoint.table().pages;
  for (size_t number = 0; number < pages.size(); ++number) {
    if (of_other.contains({pages[number].page.digest, pages[number].locator.digest})) {
      shared.insert(number);
    }
  }
  return shared;
}

/// Adds to `usage` what the counter has not met before.
Status count_needed(ReadWalk walk, CopyCounter& counter, UsageByClass& usage) {
  const auto add = [&](const std::string& class_name, HeldAs held, const EncodingUsage& fresh) {
    if (fresh != EncodingUsage()) usage[class_name][held] += fresh;
  };
  return walk.run(
      [&](const std::string& class_name, const Digest& digest, const Copy& copy) {
        add(class_name, copy.encoding, counter.add(digest, copy));
      },
      [&](const std::string& class_name, const Bytes& bytes) {
        add(class_name, std::nullopt, counter.add_inline(bytes));
      },
      [&](const Copy& copy) {
        add(std::string(kHistoryClass), copy.encoding, counter.add_base(copy));
      });
}

}  // namespace

Result<UsageByClass> tag_usage(Checkpoint& checkpoint, const WantsItem& wants) {
  UsageByClass usage;
  CAIRN_CHECK(ReadWalk(checkpoint, wants)
                  .run(
                      [&](const std::string& class_name, const Digest&, const Copy& copy) {
                        usage[class_name][copy.encoding] += EncodingUsage::of(copy);
                      },
                      [&](const std::string& class_name, const Bytes& bytes) {
                        usage[class_name][std::nullopt] += EncodingUsage::of_inline(bytes.size());
                      },
                      [&](const Copy& copy) {
                        usage[std::string(kHistoryClass)][copy.encoding] += EncodingUsage::of(copy);
                      }));
  return usage;
}

Result<UsageByClass> usage_beside(Checkpoint& a, Checkpoint& b, const WantsItem& wants) {
  CopyCounter counter;
  UsageByClass of_a, of_b;
  const WantsItem all = [](size_t) { return true; };
  CAIRN_CHECK(count_needed(ReadWalk(a, all, shared_pages(a, b)), counter, of_a));
  CAIRN_CHECK(count_needed(ReadWalk(b, wants, shared_pages(b, a)), counter, of_b));
  return of_b;
}

}  // namespace cairn
