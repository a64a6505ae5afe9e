// Objects that are written, whole or in parts, to a bucket.
#pragma once

#include "store/remote/backend.h"
#include "store/remote/s3_client.h"

namespace cairn::remote {

/// The writing half of the S3 backend, by its contract. Keys are checked by the caller.
class S3Uploads {
 public:
  explicit S3Uploads(S3Client client) : client_(std::move(client)) {}

  WriteResult put(const std::string& key, const Payload& payload, const Condition& condition) const;
  Result<std::string> begin(const std::string& key) const;
  Result<UploadedPart> add(const std::string& key, const std::string& upload, uint32_t number,
                           const Payload& payload) const;
  Result<std::vector<UploadedPart>> parts(const std::string& key, const std::string& upload) const;
  WriteResult complete(const std::string& key, const std::string& upload,
                       const std::vector<UploadedPart>& parts, const Condition& condition) const;
  Status give_up(const std::string& key, const std::string& upload) const;
  Result<Page<OpenUpload>> list(const std::string& prefix, const std::string& from) const;

 private:
  WriteResult write_answer(const std::string& what, const Sent& sent, const Condition& condition,
                           const Result<std::string>& version) const;

  const S3Client client_;
};

/// `s3://bucket/prefix/key`, fit to be shown.
std::string s3_shown(const S3Place& place, const std::string& key);
/// The key of a backend for one in the bucket; nullopt: it is outside, or no key.
std::optional<std::string> own_key(const S3Place& place, const std::string& full_key);

/// Of one page of a listing: 1000 keys of 1024 bytes, all of them encoded, with what is around
/// them.
inline constexpr uint64_t kS3ListingBytes = 16 * kMiB;

}  // namespace cairn::remote
