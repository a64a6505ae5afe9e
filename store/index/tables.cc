#include "store/index/tables.h"

#include <fmt/format.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/fs.h"
#include "base/random.h"

namespace cairn {

/// Beyond these, tidy() makes files of logs, and few files of many.
static constexpr size_t kLogsMax = 8;
static constexpr size_t kFilesMax = 16;
/// More takes too long to write anew; RocksDB's own levels have to do for it.
static constexpr uint64_t kMergedBytesMax = 64 << 20;

/// To make an index takes some tenths of a second; a saver waits longer for its helper.
static constexpr double kPatienceS = 10;
static constexpr std::chrono::milliseconds kPause{20};

/// Of files that are written to be taken over by RocksDB, which then names them anew.
static constexpr std::string_view kIngestPrefix = "ingest-";

/// RocksDB has no code of its own for a lock that another holds.
static bool is_lock_held(const rocksdb::Status& status) {
  const std::string_view words = status.getState() == nullptr ? "" : status.getState();
  return status.IsIOError() &&
         (words.starts_with("While lock file") || words.starts_with("lock hold by"));
}

static Status as_status(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return {};
  Code code = Code::kFailed;
  if (status.IsCorruption() || status.IsNotSupported() || status.IsInvalidArgument()) {
    code = Code::kCorrupt;
  } else if (status.IsNoSpace()) {
    code = Code::kNoSpace;
  } else if (is_lock_held(status)) {
    code = Code::kBusy;
  }
  return fail(code, fmt::format("cannot {} the index: {}", doing, status.ToString()),
              code == Code::kCorrupt ? "rebuild it with 'cairn repair index'" : "");
}

static rocksdb::Options make_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  // A store begins small: RocksDB would preallocate megabytes.
  options.allow_fallocate = false;
  options.manifest_preallocation_size = 4096;
  options.write_buffer_size = 4 << 20;
  options.max_total_wal_size = 8 << 20;
  options.keep_log_file_num = 1;
  options.info_log_level = rocksdb::ERROR_LEVEL;
  options.compression = rocksdb::kNoCompression;
  options.max_open_files = 256;
  // Opened for every save, and most saves bring little: no file for that little, each time.
  options.avoid_flush_during_recovery = true;
  options.skip_stats_update_on_db_open = true;
  options.max_file_opening_threads = 1;
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 16 << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

/// Files that a program left which was killed while it wrote them: RocksDB does not know them.
/// REQUIRES: no other process writes the index.
static void remove_leftovers(const std::string& path) {
  const auto files = posix_fs().list(path);
  if (!files) return;
  for (const FolderEntry& file : *files) {
    const bool is_ours = file.name.starts_with(kIngestPrefix) && file.name.ends_with(".sst");
    if (is_ours && file.is_file) (void)posix_fs().remove(join_path(path, file.name)).has_value();
  }
}

Result<std::unique_ptr<RocksTables>> RocksTables::open(const std::string& path, bool writable) {
  std::unique_ptr<RocksTables> tables(new RocksTables(path, writable));
  const rocksdb::Options options = make_options();
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kFamilyNames) families.emplace_back(name, options);
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      writable ? rocksdb::DB::Open(options, path, families, &tables->handles_, &db)
               : rocksdb::DB::OpenForReadOnly(options, path, families, &tables->handles_, &db);
  tables->db_.reset(db);
  CAIRN_CHECK(as_status(opened, "open"));
  if (writable) remove_leftovers(path);
  return tables;
}

Result<std::unique_ptr<RocksTables>> RocksTables::open_shared(const std::string& path) {
  const Stopwatch watch;
  for (;;) {
    auto tables = open(path, true);
    if (tables || tables.error().code != Code::kBusy) return tables;
    tables = open(path, false);
    if (tables || watch.seconds() > kPatienceS) return tables;
    std::this_thread::sleep_for(kPause);
  }
}

Status RocksTables::destroy(const std::string& path) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kFamilyNames) families.emplace_back(name, make_options());
  return as_status(rocksdb::DestroyDB(path, make_options(), families), "remove");
}

RocksTables::~RocksTables() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    (void)db_->DestroyColumnFamilyHandle(handle).ok();
  }
  (void)db_->Close().ok();
}

Result<std::optional<std::string>> RocksTables::get(Family family, const std::string& key) {
  std::string value;
  const rocksdb::Status got = db_->Get({}, handle(family), key, &value);
  if (got.IsNotFound()) return std::optional<std::string>();
  CAIRN_CHECK(as_status(got, "read"));
  return std::optional(std::move(value));
}

std::unique_ptr<rocksdb::Iterator> RocksTables::scan(Family family) {
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator({}, handle(family)));
}

Status RocksTables::write(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions options;
  options.sync = true;
  return as_status(db_->Write(options, &batch), "write");
}

/// Logs that a later opening would have to read.
static size_t count_logs(rocksdb::DB& db) {
  rocksdb::VectorLogPtr logs;
  return db.GetSortedWalFiles(logs).ok() ? logs.size() : 0;
}

Status RocksTables::tidy() {
  if (!writable_) return {};
  if (count_logs(*db_) > kLogsMax) {
    CAIRN_CHECK(as_status(db_->Flush({}, handles_), "write"));
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    rocksdb::ColumnFamilyMetaData facts;
    db_->GetColumnFamilyMetaData(handle, &facts);
    if (facts.file_count <= kFilesMax || facts.size > kMergedBytesMax) continue;
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    CAIRN_CHECK(as_status(db_->CompactRange(options, handle, nullptr, nullptr), "tidy"));
  }
  return {};
}

static Result<uint64_t> unique_number() {
  std::array<uint8_t, 8> unique{};
  CAIRN_CHECK(random_bytes(unique));
  return load_le<uint64_t>(unique);
}

Status RocksTables::put(const std::vector<ChunkRecord>& records, rocksdb::WriteBatch& batch) {
  CAIRN_TRY(uint64_t generation, unique_number());
  for (const ChunkRecord& record : records) {
    Bytes bucket;
    append_record(bucket, record);
    const std::string key = bucket_key(bucket_prefix(record.digest.bytes), generation++);
    batch.Put(handle(Family::kChunk), key, slice(bucket));
  }
  return {};
}

Status RocksTables::ingest(const std::vector<ChunkRecord>& records) {
  if (records.empty()) return {};
  CAIRN_TRY(const uint64_t generation, unique_number());
  const std::string file = fmt::format("{}/{}{:016x}.sst", path_, kIngestPrefix, generation);
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), make_options(), handle(Family::kChunk));
  CAIRN_CHECK(as_status(writer.Open(file), "write"));
  Bytes bucket;
  for (size_t i = 0; i < records.size(); ++i) {
    append_record(bucket, records[i]);
    const uint16_t prefix = bucket_prefix(records[i].digest.bytes);
    if (i + 1 < records.size() && bucket_prefix(records[i + 1].digest.bytes) == prefix) continue;
    CAIRN_CHECK(as_status(writer.Put(bucket_key(prefix, generation), slice(bucket)), "write"));
    bucket.clear();
  }
  CAIRN_CHECK(as_status(writer.Finish(), "write"));
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  return as_status(db_->IngestExternalFile(handle(Family::kChunk), {file}, options), "extend");
}

}  // namespace cairn
