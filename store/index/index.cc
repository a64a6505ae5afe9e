// Catching up with the root, in order:
//   1. number the packs that are new, by chance, and write their rows; a crash later leaves unused
//      numbers
//   2. ingest the chunk records of pages that are new, sorted, as one file; a crash later makes the
//      next catch-up ingest them again, and look-ups meet them twice. Few of them go with 3 instead
//   3. in one synced batch: tags, manifests, schemas and pages
//   4. the same for the next few million records, until none is left; a crash later loses none of
//      what is in, so that a large store is caught up with even by helpers that are given up on
//   5. sessions and the commit number, with the last batch
// A chunk record whose pack's row is gone is not found any more: rows of packs go before packs do.
#include "store/index/index.h"

#include <fmt/format.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <unordered_map>

#include "base/pipeline.h"
#include "base/random.h"
#include "store/checkpoint.h"
#include "store/index/flat_table.h"
#include "store/index/tables.h"
#include "store/meta_pack.h"

namespace cairn {

/// More look-ups than this in one opening are worth reading all records once.
static constexpr uint64_t kSingleLookUpsMax = 4096;
static constexpr size_t kPagesAtOnce = 32;
/// Some seconds of work, and a quarter of a gigabyte of memory.
static constexpr size_t kRecordsAtOnce = 4'000'000;
/// Not worth a file of their own.
static constexpr size_t kFewRecords = 4096;

std::string index_path(const Store& store) {
  const char* elsewhere = std::getenv("CAIRN_INDEX");
  if (elsewhere != nullptr && *elsewhere != '\0') return elsewhere;
  return join_path(store.path(), "index");
}

static std::string number_key(uint32_t number) {
  std::string key;
  for (int shift = 24; shift >= 0; shift -= 8) key += static_cast<char>(number >> shift & 255);
  return key;
}

static std::string session_key(const SessionId& session) { return "session" + session.hex(); }

static std::string digest_key(const Digest& digest) { return std::string(as_text(digest.bytes)); }

/// The same page with other copies is another one: the first may have lost its pack.
static std::string page_key(const PagePlace& place) {
  return digest_key(place.page.digest) + digest_key(place.locator.digest);
}

class Index::Tables {
 public:
  Tables(const Store& store, std::unique_ptr<RocksTables> rocks)
      : store_(store), rocks_(std::move(rocks)) {}

  RocksTables& rocks() { return *rocks_; }

  Result<uint64_t> number(const std::string& fact) {
    CAIRN_TRY(const auto value, rocks_->get(Family::kFacts, fact));
    if (!value || value->size() != 8) return uint64_t{0};
    return load_le<uint64_t>(as_bytes(*value));
  }

  /// Reads the pack rows.
  Status load_packs() {
    const auto rows = rocks_->scan(Family::kPack);
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      if (rows->key().size() != 4) continue;
      uint32_t number = 0;
      for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<uint8_t>(rows->key()[i]);
      CAIRN_TRY(const FileId file, FileId::parse(rows->value().ToStringView()));
      packs[number] = file;
      numbers[file] = number;
    }
    if (!rows->status().ok()) return fail(Code::kCorrupt, rows->status().ToString());
    return {};
  }

  Status load_flat_table() {
    CAIRN_TRY(const uint64_t chunks, number("chunks"));
    FlatTable table(chunks);
    std::vector<ChunkRecord> list;  // of the buckets whose keys begin alike
    std::optional<uint16_t> number_of_list;
    const auto rows = rocks_->scan(Family::kChunk);
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      if (rows->key().size() < 2) continue;
      const auto prefix = bucket_prefix(as_bytes(rows->key().ToStringView()));
      if (number_of_list && prefix != number_of_list) {
        table.add(*number_of_list, list);
        list.clear();
      }
      number_of_list = prefix;
      const ByteSpan bucket = as_bytes(rows->value().ToStringView());
      for (size_t i = 0; i < bucket.size() / kChunkRecordBytes; ++i) {
        const ChunkRecord record = record_at(bucket, i);
        if (is_there(record.pack)) list.push_back(record);
      }
    }
    if (!rows->status().ok()) return fail(Code::kCorrupt, rows->status().ToString());
    if (number_of_list) table.add(*number_of_list, list);
    flat = std::move(table);
    return {};
  }

  std::optional<ChunkRecord> find(const Digest& digest) {
    if (flat) return flat->find(digest);
    const std::string first = bucket_key(bucket_prefix(digest.bytes), 0);
    const rocksdb::Slice prefix(first.data(), 2);
    const auto rows = rocks_->scan(Family::kChunk);
    for (rows->Seek(first); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
      const auto record = find_record(as_bytes(rows->value().ToStringView()), digest);
      if (record && is_there(record->pack)) return record;
    }
    return std::nullopt;
  }

  /// A pack that is lost must not hide a later copy of the same chunk.
  bool is_there(uint32_t pack) {
    const auto [at, fresh] = there_.try_emplace(pack, false);
    const auto known = packs.find(pack);
    if (fresh && known != packs.end()) {
      const std::string path = relative_path(FileKind::kPack, known->second);
      at->second = file_exists(store_.fs(), join_path(store_.path(), path));
    }
    return at->second;
  }
  void forget() {
    packs.clear();
    numbers.clear();
    there_.clear();
    flat.reset();
  }

  std::map<uint32_t, FileId> packs;
  std::map<FileId, uint32_t> numbers;
  std::optional<FlatTable> flat;
  uint64_t look_ups = 0;

 private:
  const Store& store_;
  std::unique_ptr<RocksTables> rocks_;
  std::unordered_map<uint32_t, bool> there_;
};

namespace {

/// A tag whose files are damaged or went meanwhile is not indexed; 'check' names it.
bool is_loss(const Error& error) {
  return error.code == Code::kCorrupt || error.code == Code::kNotFound;
}

/// What one catch-up adds.
class Additions {
 public:
  /// `chunks`: records that are in already.
  Additions(const Store& store, RocksTables& rocks, std::map<FileId, uint32_t> numbers,
            uint64_t chunks)
      : store_(store), rocks_(rocks), numbers_(std::move(numbers)), chunks_(chunks) {}

  /// Makes the tag's row what the entry says.
  Status follow(const TagEntry& entry) {
    CAIRN_TRY(const auto row, rocks_.get(Family::kTag, entry.name));
    if (entry.removed) {
      if (row) remove_tag(entry.name);
      return {};
    }
    const bool is_same = row && *row == as_text(encode_tag_entry(entry));
    return is_same ? Status() : add_tag(entry);
  }

  void remove_tag(const std::string& name) { batch_.Delete(rocks_.handle(Family::kTag), name); }

  Status finish(uint64_t commit, const std::string& tag_tables) {
    for (const SessionId& session : sessions_) {
      batch_.Put(rocks_.handle(Family::kFacts), session_key(session), "");
    }
    put_fact("commit", commit);
    batch_.Put(rocks_.handle(Family::kFacts), "tables", tag_tables);
    return write();
  }

 private:
  Status add_tag(const TagEntry& tag) {
    constexpr size_t kSlack = 65536;
    if (records_.size() > 2 * settled_ + kSlack) settle();
    CAIRN_TRY(const auto checkpoint, Checkpoint::open(store_, tag));
    CAIRN_CHECK(put_object(tag.manifest));
    CAIRN_CHECK(put_object(tag.schema));
    CAIRN_CHECK(add_pages(checkpoint->table().pages));
    const Bytes entry = encode_tag_entry(tag);
    batch_.Put(rocks_.handle(Family::kTag), tag.name, slice(entry));
    return {};
  }

  Status write() {
    CAIRN_CHECK(write_packs());
    settle();
    CAIRN_CHECK(records_.size() > kFewRecords ? rocks_.ingest(records_)
                                              : rocks_.put(records_, batch_));
    chunks_ += records_.size();
    put_fact("chunks", chunks_);
    CAIRN_CHECK(rocks_.write(batch_));
    batch_.Clear();
    records_.clear();
    settled_ = 0;
    return {};
  }

  /// Tags bring most of their records again and again.
  void settle() {
    std::sort(records_.begin(), records_.end());
    records_.erase(std::unique(records_.begin(), records_.end()), records_.end());
    settled_ = records_.size();
  }

  Status put_object(const Reference& reference) {
    const std::string key = digest_key(reference.digest);
    if (!objects_.insert(key).second) return {};
    CAIRN_TRY(const Bytes bytes, read_object(store_.meta_files(), reference));
    batch_.Put(rocks_.handle(Family::kObject), key, slice(bytes));
    return {};
  }

  Status add_pages(const std::vector<PagePlace>& pages) {
    std::vector<PagePlace> fresh;
    for (const PagePlace& place : pages) {
      const std::string key = page_key(place);
      if (!pages_.insert(key).second) continue;
      CAIRN_TRY(const auto known, rocks_.get(Family::kPage, key));
      if (!known) fresh.push_back(place);
    }
    Status lost;
    for (size_t first = 0; first < fresh.size(); first += kPagesAtOnce) {
      const size_t count = std::min(kPagesAtOnce, fresh.size() - first);
      reserve((fresh.size() - first) * kPageEntriesMax);
      const Status added = add_group(std::span(fresh).subspan(first, count));
      if (!added && !is_loss(added.error())) return added;
      if (!added) lost = added;
      if (records_.size() >= kRecordsAtOnce) CAIRN_CHECK(write());
    }
    return lost;
  }

  /// Room for that many records more, and in large steps: tags come one at a time.
  void reserve(size_t more) {
    constexpr size_t kMost = kRecordsAtOnce + kPagesAtOnce * kPageEntriesMax;
    const size_t wanted = records_.size() + more;
    if (wanted <= records_.capacity()) return;
    records_.reserve(std::min(kMost, std::max(wanted, 2 * records_.capacity())));
  }

  /// Reading and checking pages is most of the work and takes all CPUs; a group bounds memory. A
  /// page that is lost keeps no other one out.
  Status add_group(std::span<const PagePlace> places) {
    std::vector<std::shared_ptr<const LoadedPage>> loaded(places.size());
    std::vector<Status> outcomes(places.size());
    CAIRN_CHECK(parallel_for(places.size(), 0, [&](uint64_t i) -> Status {
      auto page = load_page(store_, places[i]);
      if (page) loaded[i] = *std::move(page);
      if (!page) outcomes[i] = tl::unexpected(page.error());
      return {};
    }));
    Status failed;
    for (size_t i = 0; i < places.size(); ++i) {
      if (loaded[i] == nullptr) {
        failed = outcomes[i];
        continue;
      }
      CAIRN_CHECK(add_page(*loaded[i]));
      batch_.Put(rocks_.handle(Family::kPage), page_key(places[i]), "");
    }
    return failed;
  }

  /// Copies that some earlier catch-up has brought in with their session are not added again.
  Status add_page(const LoadedPage& page) {
    const auto add = [&](const Digest& digest, const Copy& copy) -> Status {
      if (!copy.bases.empty()) return {};
      if (last_pack_ != copy.pack) CAIRN_CHECK(turn_to(copy.pack));
      if (last_is_known_) return {};
      records_.push_back({digest, copy.offset, last_number_, copy.stored_bytes, copy.decoded_bytes,
                          copy.encoding});
      return {};
    };
    Status added;
    for (size_t i = 0; i < page.page.entries.size() && added; ++i) {
      for_each_stored(page.page.entries[i], page.copies(i),
                      [&](const Digest& digest, const Copy& copy) {
                        if (added) added = add(digest, copy);
                      });
    }
    return added;
  }

  /// Neighbouring copies lie in the same pack more often than not.
  Status turn_to(const FileId& pack) {
    CAIRN_TRY(last_is_known_, is_known(pack.session));
    last_number_ = last_is_known_ ? 0 : number_of(pack);
    last_pack_ = pack;
    return {};
  }

  Result<bool> is_known(const SessionId& session) {
    const auto cached = known_.find(session);
    if (cached != known_.end()) return cached->second;
    CAIRN_TRY(const auto row, rocks_.get(Family::kFacts, session_key(session)));
    known_[session] = row.has_value();
    if (!row) sessions_.insert(session);
    return row.has_value();
  }

  uint32_t number_of(const FileId& pack) {
    const auto found = numbers_.find(pack);
    if (found != numbers_.end()) return found->second;
    const uint32_t number = unused_number();
    numbers_[pack] = number;
    new_packs_.push_back({number, pack});
    return number;
  }

  /// By chance, so that no number is given out twice even when the log with its row was lost: the
  /// chunk records of then, which are in files of their own, must not seem to be of another pack.
  uint32_t unused_number() {
    if (taken_.empty()) {
      for (const auto& [pack, number] : numbers_) taken_.insert(number);
    }
    uint32_t number = 0;
    do number = static_cast<uint32_t>(random_());
    while (!taken_.insert(number).second);
    return number;
  }

  Status write_packs() {
    if (new_packs_.empty()) return {};
    rocksdb::WriteBatch batch;
    for (const auto& [number, pack] : new_packs_) {
      batch.Put(rocks_.handle(Family::kPack), number_key(number), pack.name());
    }
    CAIRN_CHECK(rocks_.write(batch));
    new_packs_.clear();
    return {};
  }

  void put_fact(const std::string& fact, uint64_t number) {
    Bytes bytes;
    append_le(bytes, number);
    batch_.Put(rocks_.handle(Family::kFacts), fact, slice(bytes));
  }

  const Store& store_;
  RocksTables& rocks_;
  std::map<FileId, uint32_t> numbers_;
  uint64_t chunks_;
  rocksdb::WriteBatch batch_;
  std::vector<ChunkRecord> records_;
  size_t settled_ = 0;  // records_[0, settled_) are in order, none twice
  std::set<std::string> pages_, objects_;
  std::map<SessionId, bool> known_;
  std::set<SessionId> sessions_;
  std::vector<std::pair<uint32_t, FileId>> new_packs_;
  std::set<uint32_t> taken_;
  std::mt19937_64 random_ = seeded_random();
  std::optional<FileId> last_pack_;
  uint32_t last_number_ = 0;
  bool last_is_known_ = false;
};

}  // namespace

Index::Index(const Store& store, std::unique_ptr<Tables> tables)
    : store_(store), tables_(std::move(tables)) {}

Index::~Index() = default;

/// A new index is the store's from now on.
static Status take_over(const Store& store, RocksTables& rocks) {
  const std::string id = store.config().store_id.hex();
  CAIRN_TRY(const auto owner, rocks.get(Family::kFacts, "store_id"));
  if (owner == id) return {};
  if (!owner && !rocks.is_writable()) return {};
  if (!owner) {
    rocksdb::WriteBatch batch;
    batch.Put(rocks.handle(Family::kFacts), "store_id", id);
    return rocks.write(batch);
  }
  return fail(Code::kCorrupt,
              fmt::format("the index in '{}' is of another store", index_path(store)),
              "name another folder in CAIRN_INDEX, or delete this one");
}

Result<std::unique_ptr<Index>> Index::open(const Store& store, Access access) {
  const std::string path = index_path(store);
  CAIRN_TRY(auto rocks, access == Access::kShared
                            ? RocksTables::open_shared(path)
                            : RocksTables::open(path, access == Access::kWrite));
  auto tables = std::make_unique<Tables>(store, std::move(rocks));
  CAIRN_CHECK(take_over(store, tables->rocks()));
  CAIRN_CHECK(tables->load_packs());
  return std::unique_ptr<Index>(new Index(store, std::move(tables)));
}

/// Files in a folder that was named by mistake must not go because their names are like RocksDB's.
static Status refuse_no_index(const Store& store, const std::string& path) {
  CAIRN_TRY(const auto entries, store.fs().list(path));
  const auto is_of_index = [](const FolderEntry& entry) {
    return entry.name == "CURRENT" || entry.name == "LOCK" || entry.name == "IDENTITY";
  };
  if (entries.empty() || std::any_of(entries.begin(), entries.end(), is_of_index)) return {};
  return fail(Code::kFailed, fmt::format("'{}' holds files and is no index", path),
              "remove the folder, or name another one in CAIRN_INDEX");
}

/// What is no folder, or holds more than RocksDB makes, is someone's.
static Status set_aside(const Store& store, const std::string& path) {
  CAIRN_TRY(const SessionId unique, SessionId::fresh());
  return store.fs().rename(path, path + ".replaced-" + unique.hex().substr(0, 8));
}

Status Index::destroy(const Store& store) {
  const std::string path = index_path(store);
  const auto info = store.fs().info(path);
  if (!info && info.error().code == Code::kNotFound) return {};
  CAIRN_CHECK(info);
  if (!info->is_folder) return set_aside(store, path);
  CAIRN_CHECK(refuse_no_index(store, path));
  {
    const auto rocks = RocksTables::open(path, false);
    if (rocks) CAIRN_CHECK(take_over(store, **rocks));
  }
  const Status destroyed = RocksTables::destroy(path);
  if (!destroyed && destroyed.error().code == Code::kBusy) return destroyed;
  // A folder in the place of one of its files stays, and would keep it from being opened.
  const auto current = store.fs().info(join_path(path, "CURRENT"));
  const bool is_gone = !current && current.error().code == Code::kNotFound;
  return destroyed && is_gone ? Status() : set_aside(store, path);
}

/// Which tag tables the root names: while they are the same, only its own entries can be new.
static std::string digest_of_tables(const TagBook& book) {
  Bytes digests;
  for (const TagTableRef& table : book.tables()) append_digest(digests, table.table.digest);
  return digest_key(blake3(digests));
}

Status Index::catch_up() {
  if (!tables_->rocks().is_writable()) return {};
  CAIRN_TRY(TagBook book, store_.read_book());
  CAIRN_TRY(const uint64_t seen, tables_->number("commit"));
  if (book.commit() == seen) return {};
  CAIRN_TRY(const uint64_t chunks, tables_->number("chunks"));
  Additions additions(store_, tables_->rocks(), tables_->numbers, chunks);
  const std::string tag_tables = digest_of_tables(book);
  CAIRN_TRY(const auto known_tables, tables_->rocks().get(Family::kFacts, "tables"));
  std::vector<TagEntry> entries = book.entries();
  if (book.tables().empty() || known_tables != tag_tables) {
    CAIRN_TRY(TagList list, book.list());
    CAIRN_TRY(const auto known, tags());
    for (const TagEntry& tag : known) {
      if (list.find(tag.name) == nullptr) additions.remove_tag(tag.name);
    }
    entries = std::move(list.tags);
  }
  for (const TagEntry& entry : entries) {
    const Status followed = additions.follow(entry);
    if (!followed && !is_loss(followed.error())) return followed;
  }
  CAIRN_CHECK(additions.finish(book.commit(), tag_tables));
  tables_->forget();
  return tables_->load_packs();
}

Status Index::tidy() { return tables_->rocks().tidy(); }

Status Index::drop_packs(std::span<const FileId> packs) {
  if (!tables_->rocks().is_writable()) {
    return fail(Code::kBusy, "another process writes the index");
  }
  rocksdb::WriteBatch batch;
  for (const FileId& pack : packs) {
    const auto known = tables_->numbers.find(pack);
    if (known == tables_->numbers.end()) continue;
    batch.Delete(tables_->rocks().handle(Family::kPack), number_key(known->second));
  }
  CAIRN_CHECK(tables_->rocks().write(batch));
  tables_->forget();
  return tables_->load_packs();
}

Status Index::look_up(std::span<const Digest> wanted, std::span<std::optional<Copy>> found) {
  tables_->look_ups += wanted.size();
  if (!tables_->flat && tables_->look_ups > kSingleLookUpsMax) {
    CAIRN_CHECK(tables_->load_flat_table());
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto record = tables_->find(wanted[i]);
    if (!record) continue;
    found[i] = Copy{tables_->packs.at(record->pack),
                    record->offset,
                    record->stored_bytes,
                    record->decoded_bytes,
                    record->encoding,
                    {},
                    {}};
  }
  return {};
}

Result<std::vector<TagEntry>> Index::tags() {
  std::vector<TagEntry> tags;
  const auto rows = tables_->rocks().scan(Family::kTag);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    CAIRN_TRY(TagEntry tag, decode_tag_entry(as_bytes(rows->value().ToStringView())));
    tags.push_back(std::move(tag));
  }
  if (!rows->status().ok()) return fail(Code::kCorrupt, rows->status().ToString());
  return tags;
}

std::optional<Bytes> Index::object(const Digest& digest) {
  const auto value = tables_->rocks().get(Family::kObject, digest_key(digest));
  if (!value || !*value) return std::nullopt;
  const ByteSpan bytes = as_bytes(**value);
  return Bytes(bytes.begin(), bytes.end());
}

Result<IndexState> Index::state() {
  IndexState state;
  CAIRN_TRY(state.commit, tables_->number("commit"));
  CAIRN_TRY(state.chunks, tables_->number("chunks"));
  CAIRN_TRY(const auto all, tags());
  state.tags = all.size();
  return state;
}

}  // namespace cairn
