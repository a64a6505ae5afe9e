// Requests to one bucket: made, signed, sent, and sent again.
#pragma once

#include <memory>
#include <string>

#include "store/remote/credentials.h"
#include "store/remote/request_sender.h"
#include "store/remote/s3_place.h"
#include "store/remote/sigv4.h"

namespace cairn::remote {

/// What is asked of an object or the bucket.
struct S3Request {
  std::string method = "GET";
  std::string key;  ///< in the bucket; empty: the bucket
  QueryPairs query;
  std::vector<HttpHeader> headers;
  ByteSpan body;
  uint64_t body_max = 0;     ///< of the answer
  bool conditional = false;  ///< is never sent twice unnoticed
};

/// Threads: any. Copies share connections, credentials and what was learnt.
class S3Client {
 public:
  static Result<S3Client> make(const Url& url, const RemoteOptions& options);
  S3Client with_stop(const std::atomic<bool>* stop) const;

  const S3Place& place() const { return *place_; }
  const RequestSender& sender() const { return sender_; }
  /// One attempt's request, signed.
  Result<HttpRequest> sign(const S3Request& request, const std::string& payload) const;
  /// What x-amz-content-sha256 says of a body.
  std::string payload_of(ByteSpan body) const;
  /// Errors: those of RequestSender::send(). An answer of whatever status is no error, but one
  /// whose status does not say that it failed.
  tl::expected<Sent, WriteError> send(const std::string& what, const S3Request& request) const;

 private:
  struct Shared;
  S3Client(std::shared_ptr<const S3Place> place, RequestSender sender,
           std::shared_ptr<Shared> shared)
      : place_(std::move(place)), sender_(std::move(sender)), shared_(std::move(shared)) {}

  std::shared_ptr<const S3Place> place_;
  RequestSender sender_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace cairn::remote
