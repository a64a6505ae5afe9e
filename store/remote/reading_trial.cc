#include <fmt/format.h>

#include "base/utf8.h"
#include "store/remote/answer_errors.h"
#include "store/remote/ascii.h"
#include "store/remote/http_backend.h"
#include "store/remote/trial.h"

namespace cairn::remote {

namespace {

// Both are smaller by far, or a store that is not to be tried out.
constexpr uint64_t kFileBytes = 64 * kMiB;

class ReadingTrial {
 public:
  ReadingTrial(Backend& backend, Trial& trial) : backend_(backend), trial_(trial) {}

  void run() {
    trial_.run("store", Need::kReading, "name the folder that has the store's 'config' and 'root'",
               [this] { return store(); });
    if (!trial_.serves(Need::kReading)) trial_.give_up();
    trial_.run("ranges", Need::kComfort,
               "each read brings an object from its begin: pulls of single tensors and loads cost "
               "whole packs; let the server answer 'Range'",
               [this] { return ranges(); });
    trial_.run("length", Need::kComfort,
               "answers to HEAD and GET should tell the length: without, a body that ends early "
               "passes for a whole one until its digest is checked",
               [this] { return length(); });
  }

 private:
  Result<std::string> store() {
    for (const char* name : {"config", "root"}) {
      const auto whole = backend_.read_whole(name, kFileBytes);
      if (!whole && whole.error().code == Code::kNotFound) {
        return fail(Code::kNoStore,
                    fmt::format("there is no '{}': {}", name, whole.error().message));
      }
      if (!whole) return tl::unexpected(whole.error());
      if (config_.empty()) config_ = whole->bytes;
    }
    return "'config' and 'root' are there";
  }

  Result<std::string> ranges() {
    if (config_.size() < 20) return fail(Code::kFailed, "'config' is too short to be one");
    Bytes part(10);
    CAIRN_TRY(const ReadAnswer read, backend_.read("config", 7, part));
    if (read.bytes != part.size() || !std::equal(part.begin(), part.end(), config_.begin() + 7)) {
      return fail(Code::kFailed, "a range has other bytes than the whole");
    }
    if (!backend_.abilities().ranges) {
      return fail(Code::kFailed, "a range is answered with the whole object");
    }
    return "served";
  }

  Result<std::string> length() {
    CAIRN_TRY(const ObjectInfo info, backend_.info("config"));
    if (info.bytes == config_.size()) return "told";
    return fail(Code::kFailed,
                fmt::format("HEAD tells {} bytes of {}", info.bytes, config_.size()));
  }

  Backend& backend_;
  Trial& trial_;
  Bytes config_;
};

/// What the headers of a web server's answers say.
class HeadersTrial {
 public:
  HeadersTrial(HttpPlace place, RequestSender sender, Trial& trial)
      : place_(std::move(place)), sender_(std::move(sender)), trial_(trial) {}

  void run() {
    trial_.run("coding", Need::kComfort,
               "switch compression on the fly off for the store's files: packs do not shrink, and "
               "a coded range cannot be read",
               [this] { return coding(); });
    trial_.run("caching", Need::kComfort,
               "let the server send 'Cache-Control: no-cache' with 'root': all else may be cached "
               "for ever",
               [this] { return caching(); });
  }

 private:
  Result<HttpResponse> ask(const char* key) {
    const std::string what = fmt::format("cannot read {}/{}", place_.url.shown(), key);
    auto sent = sender_.send(what, [&]() -> Result<HttpRequest> {
      HttpRequest request = place_.request("GET", key);
      request.body_max = kFileBytes;
      return request;
    });
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (sent->response.success()) return std::move(sent->response);
    return tl::unexpected(answer_error(what, sent->response, status_text(sent->response.status)));
  }

  Result<std::string> coding() {
    CAIRN_TRY(const HttpResponse response, ask("config"));
    const std::string_view coding = response.header("content-encoding").value_or("identity");
    if (coding == "identity") return "files come as they are";
    return fail(
        Code::kFailed,
        fmt::format("files are coded on the way ({}) though nobody asked for it", shown(coding)));
  }

  /// Asked as a reader without Cairn's own `no-cache` would: what caches on the way may hold.
  Result<std::string> caching() {
    CAIRN_TRY(const HttpResponse response, ask("root"));
    const std::string told = lower(response.header("cache-control").value_or(""));
    const uint64_t age = parse_number(response.header("age").value_or("")).value_or(0);
    if (age > 0) {
      return fail(Code::kFailed, fmt::format("'root' came from a cache that had it for {} s", age));
    }
    const bool is_fresh = told.find("no-cache") != std::string::npos ||
                          told.find("no-store") != std::string::npos ||
                          told.find("max-age=0") != std::string::npos;
    const bool may_be_kept = told.find("max-age") != std::string::npos ||
                             told.find("immutable") != std::string::npos ||
                             response.header("expires").has_value();
    if (may_be_kept && !is_fresh) {
      return fail(Code::kFailed, fmt::format("caches may keep 'root' ({})",
                                             told.empty() ? "Expires" : shown(told)));
    }
    return is_fresh ? "'root' is not kept by caches"
                    : "the server says nothing; Cairn asks past caches by itself";
  }

  const HttpPlace place_;
  const RequestSender sender_;
  Trial& trial_;
};

}  // namespace

static void try_headers(const std::string& text, const RemoteOptions& options, Trial& trial) {
  const auto url = parse_url(text);
  if (!url || url->scheme == "s3") return;
  ServerManners manners;
  manners.tell = [](const HttpResponse& response) { return status_text(response.status); };
  auto sender = RequestSender::make(options, std::move(manners));
  if (!sender) return;
  HeadersTrial(HttpPlace(*url, options.environment), *std::move(sender), trial).run();
}

void try_reading(const std::string& url, const RemoteOptions& options, Trial& trial) {
  std::unique_ptr<Backend> backend;
  trial.run("open", Need::kReading, "", [&]() -> Result<std::string> {
    CAIRN_TRY(backend, open_backend(url, options));
    return backend->name();
  });
  if (backend == nullptr) return;
  ReadingTrial(*backend, trial).run();
  try_headers(url, options, trial);
}

}  // namespace cairn::remote
