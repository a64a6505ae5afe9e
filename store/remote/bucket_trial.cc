#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <future>

#include "base/clock.h"
#include "base/random.h"
#include "store/remote/crc32.h"
#include "store/remote/trial.h"

namespace cairn::remote {

namespace {

constexpr std::string_view kConditions =
    "a place that does not keep conditions loses tags when two write at once: read from it, and "
    "write to one that does";
constexpr std::string_view kStale =
    "what was written must be read at once, by everybody: is a cache in between, or is this the "
    "copy of a bucket that lies elsewhere?";
constexpr std::string_view kListing =
    "by listings gc knows whose saves go on, and would otherwise remove what they count on: the "
    "credentials need s3:ListBucket, and listings must show what was just written";
constexpr size_t kRacers = 8;
constexpr std::chrono::milliseconds kCleaning{5'000};

std::string bytes_text(size_t count, char fill) { return std::string(count, fill); }

class BucketTrial {
 public:
  BucketTrial(Backend& backend, std::string scratch, Trial& trial)
      : backend_(backend), scratch_(std::move(scratch)), trial_(trial) {}

  void run() {
    trial_.run("write", Need::kWriting,
               "the credentials need s3:PutObject; to read only, say --read-only",
               [this] { return write(); });
    if (!trial_.serves(Need::kWriting)) trial_.give_up();
    trial_.run("read", Need::kReading, "the credentials need s3:GetObject",
               [this] { return read(); });
    trial_.run("ranges", Need::kReading, "without ranges all of a pack is read for a part of it",
               [this] { return ranges(); });
    trial_.run("clock", Need::kComfort, "set this machine's clock: requests are signed with it",
               [this] { return clock(); });
    trial_.run("create", Need::kWriting, kConditions, [this] { return create(); });
    trial_.run("replace", Need::kWriting, kConditions, [this] { return replace(); });
    trial_.run("race", Need::kWriting, kConditions, [this] { return race(); });
    trial_.run("list", Need::kWriting, kListing, [this] { return list(); });
    trial_.run("parts", Need::kWriting, "files of more than 8 MiB are uploaded in parts",
               [this] { return parts(); });
    trial_.run("uploads", Need::kComfort,
               "the credentials need s3:AbortMultipartUpload, s3:ListMultipartUploadParts and "
               "s3:ListBucketMultipartUploads: parts of uploads that were killed stay, and cost",
               [this] { return uploads(); });
    trial_.run("remove", Need::kWriting, "the credentials need s3:DeleteObject",
               [this] { return remove(); });
  }

  /// Removes what was made, by a backend that nobody stops.
  void clean(Backend& backend) {
    if (!has_written_) return;
    Status removed;
    for (const char* name :
         {"a", "b", "c", "clock", "never", "race", "ranges", "listed", "parts", "left"}) {
      if (removed) removed = backend.remove(key(name));
    }
    if (removed) removed = give_up_uploads(backend);
    if (removed) return;
    Finding left;
    left.name = "clean";
    left.outcome = Finding::Outcome::kBad;
    left.told = fmt::format("what was written below '{}/{}' is still there: {}", backend.name(),
                            scratch_, removed.error().message);
    left.advice = "remove it by hand";
    left.code = removed.error().code;
    trial_.add(std::move(left));
  }

 private:
  std::string key(const std::string& name) const { return scratch_ + "/" + name; }

  Status give_up_uploads(Backend& backend) const {
    const auto open = backend.list_uploads(scratch_ + "/", "");
    if (!open) return {};  // a place that lists none lacks that, as was found
    for (const OpenUpload& each : open->items) {
      CAIRN_CHECK(backend.abort_upload(each.key, each.upload));
    }
    return {};
  }

  /// What the object holds now; what it must hold is an error else.
  Status expect(const std::string& name, const std::string& content) {
    CAIRN_TRY(const WholeObject there, backend_.read_whole(key(name), kMiB));
    if (as_text(there.bytes) == content) return {};
    return fail(Code::kFailed, "an object was read that is not what was written last");
  }

  Status put(const std::string& name, const std::string& content, const Condition& condition,
             std::string* version = nullptr) {
    const WriteResult put = backend_.put(key(name), as_bytes(content), condition);
    has_written_ = has_written_ || put || put.error().ambiguous;
    if (!put) return tl::unexpected<Error>(put.error());
    if (version != nullptr) *version = *put;
    return {};
  }

  /// That a write fails because its condition does not hold, and changes nothing.
  Status expect_refused(const std::string& name, const Condition& condition,
                        const std::string& stays) {
    const Status done = put(name, "a write that should be refused", condition);
    if (done) return fail(Code::kFailed, "a write whose condition did not hold was carried out");
    if (done.error().code != Code::kExists) return done;
    return expect(name, stays);
  }

  Result<std::string> write() {
    const Stopwatch watch;
    CAIRN_CHECK(put("a", "once", Condition::none()));
    CAIRN_CHECK(put("a", "twice", Condition::none()));
    return fmt::format("written, and written again, in {:.0f} ms", watch.seconds() * 1000);
  }

  Result<std::string> read() {
    constexpr int kTurns = 5;
    for (int turn = 0; turn < kTurns; ++turn) {
      const std::string content = fmt::format("turn {}", turn);
      CAIRN_CHECK(put("a", content, Condition::none()));
      if (const Status same = expect("a", content); !same) return stale(same.error());
      CAIRN_TRY(const ObjectInfo info, backend_.info(key("a")));
      if (info.bytes != content.size()) {
        return fail(Code::kFailed, fmt::format("HEAD tells {} bytes of an object of {}", info.bytes,
                                               content.size()));
      }
    }
    return "what was written is what is read";
  }

  static tl::unexpected<Error> stale(Error error) {
    if (error.code == Code::kFailed) error.hint = kStale;
    return tl::unexpected(std::move(error));
  }

  Result<std::string> ranges() {
    CAIRN_CHECK(put("ranges", "0123456789", Condition::none()));
    std::array<uint8_t, 4> four{};
    CAIRN_TRY(const ReadAnswer middle, backend_.read(key("ranges"), 3, four));
    CAIRN_TRY(const ReadAnswer end, backend_.read(key("ranges"), 8, four));
    CAIRN_TRY(const ReadAnswer beyond, backend_.read(key("ranges"), 100, four));
    if (middle.bytes != 4 || end.bytes != 2 || beyond.bytes != 0) {
      return fail(Code::kFailed, "a range came with more or fewer bytes than it has");
    }
    if (!backend_.abilities().ranges) return fail(Code::kFailed, "ranges are not served");
    return "served";
  }

  Result<std::string> clock() {
    constexpr double kWorthTelling = 60;
    const int64_t before = now_ns();
    CAIRN_CHECK(put("clock", "now", Condition::none()));
    const int64_t after = now_ns();
    CAIRN_TRY(const ObjectInfo info, backend_.info(key("clock")));
    if (info.modified_ns == 0) return "the place tells no time";
    // Told in whole seconds.
    const int64_t from = before - 1'000'000'000;
    const int64_t skew = info.modified_ns < from    ? info.modified_ns - from
                         : info.modified_ns > after ? info.modified_ns - after
                                                    : 0;
    const double seconds = static_cast<double>(skew) / 1e9;
    const std::string told = skew == 0
                                 ? "the same as this machine's"
                                 : fmt::format("{:.0f} s {} this machine's", std::abs(seconds),
                                               skew > 0 ? "ahead of" : "behind");
    if (std::abs(seconds) > kWorthTelling) return fail(Code::kFailed, told);
    return told;
  }

  Result<std::string> create() {
    CAIRN_CHECK(put("b", "the first", Condition::absent()));
    CAIRN_CHECK(expect_refused("b", Condition::absent(), "the first"));
    return "of what is there already is refused";
  }

  Result<std::string> replace() {
    std::string first, second;
    CAIRN_CHECK(put("c", "the first", Condition::none(), &first));
    CAIRN_TRY(const WholeObject there, backend_.read_whole(key("c"), kMiB));
    if (first.empty() || there.version != first) {
      return fail(Code::kFailed, fmt::format("the version of an object is told as '{}' when it is "
                                             "written and '{}' when it is read",
                                             first, there.version));
    }
    CAIRN_CHECK(put("c", "the second", Condition::replaces(first), &second));
    CAIRN_CHECK(expect("c", "the second"));
    CAIRN_CHECK(expect_refused("c", Condition::replaces(first), "the second"));
    const Status absent = put("never", "the third", Condition::replaces(second));
    if (absent) return fail(Code::kFailed, "an object that is not there was replaced");
    if (absent.error().code != Code::kExists) return tl::unexpected(absent.error());
    return "of another version is refused";
  }

  /// Of many who create the same name at once one must win, and the others must know.
  Result<std::string> race() {
    std::vector<std::future<WriteResult>> writes;
    for (size_t i = 0; i < kRacers; ++i) {
      writes.push_back(std::async(std::launch::async, [this, i] {
        const std::string content = fmt::format("writer {}", i);
        return backend_.put(key("race"), as_bytes(content), Condition::absent());
      }));
    }
    std::vector<size_t> winners;
    Status failed;
    for (size_t i = 0; i < kRacers; ++i) {
      const WriteResult done = writes[i].get();
      if (done) winners.push_back(i);
      const bool is_told = done || done.error().code == Code::kExists || done.error().ambiguous;
      if (!is_told) failed = tl::unexpected<Error>(done.error());
    }
    CAIRN_CHECK(failed);
    if (winners.size() > 1) {
      return fail(Code::kFailed,
                  fmt::format("{} of {} that created one name at the same time were told that they "
                              "did",
                              winners.size(), kRacers));
    }
    if (winners.size() == 1) CAIRN_CHECK(expect("race", fmt::format("writer {}", winners[0])));
    return fmt::format("of {} at once one wins", kRacers);
  }

  Result<bool> is_listed(const std::string& name) {
    std::string from;
    do {
      CAIRN_TRY(const auto page, backend_.list(scratch_ + "/", from));
      for (const ListedObject& object : page.items) {
        if (object.key == key(name)) return true;
      }
      from = page.next;
    } while (!from.empty());
    return false;
  }

  Result<std::string> list() {
    CAIRN_CHECK(put("listed", "for a while", Condition::none()));
    CAIRN_TRY(const bool is_there, is_listed("listed"));
    if (is_there) return "what was just written is listed";
    return fail(Code::kFailed, "what was just written is not listed");
  }

  Result<std::string> parts() {
    const std::string large = bytes_text(5 * kMiB, 'l'), small = bytes_text(1000, 's');
    const std::string name = key("parts");
    CAIRN_TRY(const std::string upload, backend_.begin_upload(name, large.size()));
    CAIRN_TRY(const UploadedPart one, backend_.upload_part(name, upload, 1, as_bytes(large)));
    CAIRN_TRY(const UploadedPart two, backend_.upload_part(name, upload, 2, as_bytes(small)));
    const WriteResult made =
        backend_.complete_upload(name, upload, {one, two}, Condition::absent());
    if (!made) return tl::unexpected<Error>(made.error());
    std::array<uint8_t, 20> border{};
    CAIRN_TRY(const ReadAnswer read, backend_.read(name, large.size() - 10, border));
    if (read.bytes != 20 || as_text(border) != bytes_text(10, 'l') + bytes_text(10, 's')) {
      return fail(Code::kFailed, "what was uploaded in parts is not what is read");
    }
    CAIRN_TRY(const std::string second, backend_.begin_upload(name, large.size()));
    CAIRN_TRY(const UploadedPart only, backend_.upload_part(name, second, 1, as_bytes(small)));
    const WriteResult again = backend_.complete_upload(name, second, {only}, Condition::absent());
    (void)backend_.abort_upload(name, second).has_value();
    if (again) {
      return fail(Code::kFailed, "an upload was completed over what was there already",
                  std::string(kConditions));
    }
    if (again.error().code != Code::kExists) return tl::unexpected<Error>(again.error());
    return "joined; over what is there already refused";
  }

  Result<std::string> uploads() {
    const std::string name = key("left"), content = "a part";
    CAIRN_TRY(const std::string upload, backend_.begin_upload(name, kMiB));
    CAIRN_CHECK(backend_.upload_part(name, upload, 1, as_bytes(content)));
    CAIRN_TRY(const auto parts, backend_.list_parts(name, upload));
    if (parts.size() != 1 || parts[0].bytes != content.size()) {
      return fail(Code::kFailed, "the parts of an upload are not listed as they are");
    }
    if (parts[0].crc32 && *parts[0].crc32 != crc32_of(as_bytes(content))) {
      return fail(Code::kFailed, "the CRC-32 of a part is told as another than it has");
    }
    CAIRN_TRY(const auto open, backend_.list_uploads(scratch_ + "/", ""));
    const bool is_listed = std::any_of(open.items.begin(), open.items.end(),
                                       [&](const OpenUpload& each) { return each.key == name; });
    if (!is_listed) return fail(Code::kFailed, "an upload that was begun is not listed");
    CAIRN_CHECK(backend_.abort_upload(name, upload));
    const auto gone = backend_.list_parts(name, upload);
    if (gone && !gone->empty()) return fail(Code::kFailed, "an upload that was given up is there");
    return parts[0].crc32 ? "listed with checksums, and given up" : "listed, and given up";
  }

  Result<std::string> remove() {
    CAIRN_CHECK(put("a", "for the last time", Condition::none()));
    CAIRN_CHECK(backend_.remove(key("a")));
    const auto there = backend_.read_whole(key("a"), kMiB);
    if (there) return fail(Code::kFailed, "what was removed can be read", std::string(kStale));
    if (there.error().code != Code::kNotFound) return tl::unexpected(there.error());
    const auto listed = is_listed("a");
    if (listed && *listed) {
      return fail(Code::kFailed, "what was just removed is listed", std::string(kListing));
    }
    return "gone at once";
  }

  Backend& backend_;
  const std::string scratch_;
  Trial& trial_;
  bool has_written_ = false;
};

}  // namespace

static Result<std::string> scratch_name() {
  std::array<uint8_t, 8> name{};
  CAIRN_CHECK(random_bytes(name));
  return "cairn-test-" + to_hex(name);
}

void try_bucket(const std::string& url, const RemoteOptions& options, Trial& trial) {
  std::unique_ptr<Backend> backend;
  std::string scratch;
  trial.run("open", Need::kReading, "", [&]() -> Result<std::string> {
    CAIRN_TRY(backend, open_backend(url, options));
    CAIRN_TRY(scratch, scratch_name());
    return backend->name();
  });
  if (backend == nullptr || scratch.empty()) return;
  BucketTrial bucket(*backend, scratch, trial);
  bucket.run();
  if (!trial.end() && trial.end().error().code == Code::kUnreachable) {
    // Its sender knows that it has waited in vain, and tries once.
    return bucket.clean(*backend->with_stop(nullptr));
  }
  RemoteOptions cleaning = options;
  cleaning.stop = nullptr;
  cleaning.retry_for = std::min(options.retry_for, kCleaning);
  if (const auto cleaner = open_backend(url, cleaning)) bucket.clean(**cleaner);
}

}  // namespace cairn::remote
