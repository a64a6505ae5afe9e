#include "store/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "store/meta_pack.h"

namespace cairn {

/// About 130 bytes an entry: 34 MiB, whatever the checkpoint's size. Long chains of small pages
/// fit.
static constexpr size_t kKeptEntriesMax = 64 * kPageEntriesMax;
/// Half of them at most, so that what is read ahead is there when it is asked for.
static constexpr size_t kReadAheadPages = 32;

static Error about_tag(Error error, const TagEntry& tag) {
  return with_context(std::move(error), fmt::format("reading tag '{}'", tag.name));
}

/// Reads and decodes one object, naming the tag in any error.
template <class Decode>
static auto read_as(const Store& store, const TagEntry& tag, const Reference& reference,
                    const Decode& decode) -> decltype(decode(ByteSpan{})) {
  auto bytes = read_object(store.meta_files(), reference);
  if (!bytes) return tl::unexpected(about_tag(bytes.error(), tag));
  auto decoded = decode(*bytes);
  if (!decoded) return tl::unexpected(about_tag(decoded.error(), tag));
  return decoded;
}

static Result<Manifest> settled_manifest(ByteSpan bytes, const Config& config) {
  CAIRN_TRY(Manifest manifest, decode_manifest(bytes));
  CAIRN_CHECK(settle_edges(manifest.attachments, config));
  return manifest;
}

/// Whether the chunks find room in as many pages. Asked before the pages are planned, which takes
/// memory for as many chunks as a damaged schema says.
static bool fits_pages(const Schema& schema, const Manifest& manifest) {
  uint64_t room = manifest.pages.size() * kPageEntriesMax;
  const auto take = [&](uint64_t chunks) {
    const bool fits = chunks <= room;
    room -= fits ? chunks : room;
    return fits;
  };
  return std::all_of(schema.tensors.begin(), schema.tensors.end(),
                     [&](const TensorInfo& tensor) { return take(tensor.chunk_count); }) &&
         std::all_of(manifest.attachments.begin(), manifest.attachments.end(),
                     [&](const AttachmentInfo& each) { return take(each.edges.count()); });
}

Result<std::unique_ptr<Checkpoint>> Checkpoint::open(const Store& store, const TagEntry& tag) {
  return guard_memory([&] { return read(store, tag); });
}

Result<std::unique_ptr<Checkpoint>> Checkpoint::read(const Store& store, const TagEntry& tag) {
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint(store, tag));
  Checkpoint& self = *checkpoint;
  CAIRN_TRY(self.manifest_, read_as(store, tag, tag.manifest, [&](ByteSpan bytes) {
              return settled_manifest(bytes, store.config());
            }));
  CAIRN_TRY(self.schema_, read_as(store, tag, tag.schema, decode_schema));
  CAIRN_TRY(self.table_, read_as(store, tag, tag.table, [&](ByteSpan bytes) {
              return decode_locator_table(bytes, self.manifest_.pages);
            }));
  const bool fits = fits_pages(self.schema_, self.manifest_);
  if (fits) self.plan_ = plan_pages(self.schema_, self.manifest_.attachments);
  if (!fits || tag.schema.digest != self.manifest_.schema ||
      tag.manifest.digest != self.table_.manifest ||
      self.plan_.pages.size() != self.manifest_.pages.size()) {
    return fail(Code::kCorrupt,
                fmt::format("the parts of tag '{}' do not belong together", tag.name));
  }
  self.pages_.resize(self.table_.page_count());
  self.page_numbers_ = PageNumbers(self.table_);
  return checkpoint;
}

/// The number of the item of that name. REQUIRES: in name order.
template <class Item>
static std::optional<size_t> find_named(const std::vector<Item>& items, std::string_view name) {
  const auto found = std::lower_bound(
      items.begin(), items.end(), name,
      [](const Item& item, std::string_view wanted) { return item.name < wanted; });
  if (found == items.end() || found->name != name) return std::nullopt;
  return static_cast<size_t>(found - items.begin());
}

std::optional<size_t> Checkpoint::find_tensor(std::string_view name) const {
  return find_named(schema_.tensors, name);
}

std::optional<size_t> Checkpoint::find_attachment(std::string_view name) const {
  const auto number = find_named(manifest_.attachments, name);
  return number ? std::optional(schema_.tensors.size() + *number) : std::nullopt;
}

const std::string& Checkpoint::item_name(size_t item) const {
  return is_tensor(item) ? schema_.tensors[item].name : attachment(item).name;
}

uint64_t Checkpoint::chunk_count(size_t item) const {
  if (is_tensor(item)) return schema_.tensors[item].chunk_count;
  return attachment(item).edges.count();
}

Digest LoadedPage::digest_of(uint32_t slot) const {
  // The last entry that begins at or before the slot: entries without copies begin where the next
  // one does.
  const auto after = std::upper_bound(first_slots.begin(), first_slots.end(), slot);
  const auto entry = static_cast<size_t>(after - first_slots.begin()) - 1;
  Digest digest;
  uint32_t at = first_slots[entry];
  for_each_digest(page.entries[entry], [&](const Digest& each) {
    if (at++ == slot) digest = each;
  });
  return digest;
}

Result<std::shared_ptr<const LoadedPage>> load_page(const Store& store, const PagePlace& place) {
  auto loaded = std::make_shared<LoadedPage>();
  CAIRN_TRY(const Bytes page, read_object(store.meta_files(), place.page));
  CAIRN_TRY(loaded->page, decode_page(page));
  CAIRN_TRY(const Bytes locator, read_object(store.meta_files(), place.locator));
  CAIRN_TRY(loaded->locator, decode_locator(locator));
  uint32_t slot = 0;
  loaded->first_slots.reserve(loaded->page.entries.size());
  for (const ChunkEntry& entry : loaded->page.entries) {
    loaded->first_slots.push_back(slot);
    slot += static_cast<uint32_t>(copy_count(entry));
  }
  if (slot != loaded->locator.copies.size()) {
    return fail(Code::kCorrupt, fmt::format("a page of {} copies has a locator of {}", slot,
                                            loaded->locator.copies.size()));
  }
  return std::shared_ptr<const LoadedPage>(std::move(loaded));
}

/// The pages of bases are numbered anew where gc stored copies by themselves. A reader that asks
/// for one that is needed no more has to begin anew with the latest checkpoint.
static Result<std::shared_ptr<const LoadedPage>> page_of_base(Checkpoint& moved,
                                                              const Digest& digest) {
  if (const auto number = moved.page_numbers().of(digest)) return moved.page(*number);
  return fail(Code::kCorrupt,
              fmt::format("tag '{}' was stored anew while it was read", moved.tag().name),
              "read it again");
}

std::shared_ptr<const LoadedPage> Checkpoint::kept_page(size_t number) const {
  const std::lock_guard lock(mutex_);
  return pages_[number];
}

Result<std::shared_ptr<const LoadedPage>> Checkpoint::page(size_t number) {
  if (auto kept = kept_page(number)) return kept;
  if (store_.fs().read_habits().is_remote) {
    read_ahead(number);
    if (auto kept = kept_page(number)) return kept;
  }
  auto loaded = load_page(store_, table_.place(number));
  if (!loaded) {
    CAIRN_TRY(Checkpoint* const moved, follow(about_tag(loaded.error(), tag_)));
    if (number < table_.pages.size()) return moved->page(number);
    return page_of_base(*moved, table_.place(number).page.digest);
  }
  return keep(number, *std::move(loaded));
}

/// Pages are asked for one after the other, and each is a wait for the network: those that follow
/// are read beside it. Of what fails the page's own reading tells.
void Checkpoint::read_ahead(size_t number) {
  const std::lock_guard one_at_a_time(read_ahead_mutex_);
  if (kept_page(number) != nullptr) return;
  const size_t end = std::min(number + kReadAheadPages, table_.page_count());
  const Status done = parallel_for(end - number, kReadAheadPages, [&](uint64_t i) -> Status {
    if (kept_page(number + i) != nullptr) return {};
    CAIRN_TRY(auto loaded, load_page(store_, table_.place(number + i)));
    return keep(number + i, std::move(loaded)) ? Status() : fail(Code::kCorrupt, "");
  });
  (void)done.has_value();
}

/// Takes in a page that was read, if it is one of the tag's.
Result<std::shared_ptr<const LoadedPage>> Checkpoint::keep(
    size_t number, std::shared_ptr<const LoadedPage> loaded) {
  size_t entries = 0;
  if (number < table_.pages.size()) {
    for (const PageRun& run : plan_.pages[number]) entries += run.chunk_count;
    if (entries != loaded->page.entries.size()) {
      return fail(Code::kCorrupt,
                  fmt::format("page {} of tag '{}' has {} entries instead of {}", number, tag_.name,
                              loaded->page.entries.size(), entries));
    }
  }
  const std::lock_guard lock(mutex_);
  if (pages_[number] == nullptr) {
    pages_[number] = loaded;
    kept_.push_back(number);
    kept_entries_ += loaded->page.entries.size();
  }
  while (kept_entries_ > kKeptEntriesMax && kept_.size() > 1) {
    kept_entries_ -= pages_[kept_.front()]->page.entries.size();
    pages_[kept_.front()].reset();
    kept_.pop_front();
  }
  return loaded;
}

Checkpoint& Checkpoint::latest() {
  const std::lock_guard lock(mutex_);
  return successor_ == nullptr ? *this : successor_->latest();
}

Result<Checkpoint*> Checkpoint::follow(const Error& met) {
  if (met.code != Code::kCorrupt && met.code != Code::kNotFound) return tl::unexpected(met);
  const std::lock_guard lock(mutex_);
  if (successor_ != nullptr) return successor_.get();
  const auto entry = store_.find_tag(tag_.name);
  if (!entry && entry.error().code == Code::kNotFound) {
    return fail(Code::kNotFound,
                fmt::format("the tag '{}' was forgotten while it was read", tag_.name));
  }
  CAIRN_CHECK(entry);
  if (entry->manifest.digest != tag_.manifest.digest) {
    return fail(Code::kBusy, fmt::format("the tag '{}' was replaced while it was read", tag_.name),
                "read it again");
  }
  if (entry->table == tag_.table) {
    // The tag is as it was and its files are not: that is damage, not a missing tag.
    return fail(Code::kCorrupt, met.message, met.hint.empty() ? "run 'cairn check'" : met.hint);
  }
  CAIRN_TRY(successor_, open(store_, *entry));
  return successor_.get();
}

static Layout whole_layout(const Schema& schema) {
  Layout layout;
  for (const TensorInfo& tensor : schema.tensors) {
    LayoutBox box{0, std::vector<uint64_t>(tensor.shape.size(), 0), tensor.shape};
    layout.tensors.push_back({Role::kNone, "", {std::move(box)}});
  }
  return layout;
}

Result<Layout> Checkpoint::layout() const {
  if (!tag_.layout) return whole_layout(schema_);
  return read_as(store_, tag_, *tag_.layout,
                 [&](ByteSpan bytes) { return decode_layout(bytes, schema_); });
}

Status visit_chunks(
    Checkpoint& checkpoint, size_t item,
    const std::function<Status(uint64_t chunk, const ChunkEntry&, std::span<const Copy>)>& visit) {
  for (uint64_t chunk = 0; chunk < checkpoint.chunk_count(item); ++chunk) {
    const PagePlan::Place place = checkpoint.plan().place(item, chunk);
    CAIRN_TRY(const auto page, checkpoint.page(place.page));
    CAIRN_CHECK(visit(chunk, page->page.entries[place.entry], page->copies(place.entry)));
  }
  return {};
}

Result<std::unique_ptr<Checkpoint>> open_tag(const Store& store, std::string_view name) {
  CAIRN_TRY(TagEntry tag, store.find_tag(name));
  auto opened = Checkpoint::open(store, tag);
  if (opened || opened.error().code != Code::kNotFound) return opened;
  CAIRN_TRY(TagEntry again, store.find_tag(name));
  auto retried = Checkpoint::open(store, again);
  if (!retried && retried.error().code == Code::kNotFound) {
    // The tag is there and its metadata is not: that is damage, not a missing tag.
    return fail(Code::kCorrupt, retried.error().message, "run 'cairn check'");
  }
  return retried;
}

}  // namespace cairn
