// Where a bucket is, and how it is spoken to: from the URL, the environment and the profile.
#pragma once

#include <string>

#include "store/remote/environment.h"
#include "store/remote/profile.h"
#include "store/remote/url.h"

namespace cairn::remote {

struct S3Place {
  std::string bucket;
  std::string prefix;  ///< without slashes at its ends; empty: the bucket itself
  std::string region;
  Url endpoint;            ///< of AWS: its region's
  bool path_style = true;  ///< the bucket is in the path, not in the host's name
  bool is_aws = false;     ///< no endpoint was named
  bool anonymous = false;  ///< requests are not signed
  bool checksums = true;   ///< of what is written
  bool sign_payload = true;
  std::string encryption;      ///< `AES256`, `aws:kms`, ...; empty: the bucket's own choice
  std::string encryption_key;  ///< of KMS; empty: the bucket's

  /// `s3://bucket/prefix`.
  std::string name() const;
  /// The key in the bucket.
  std::string full_key(const std::string& key) const;
  /// Of the bucket, or with a key (in the bucket) of an object.
  Url url(const std::string& full_key, const std::string& region) const;
};

/// Errors: kUsage.
Result<S3Place> find_s3_place(const Url& url, const Environment& environment,
                              const Profile& profile);

}  // namespace cairn::remote
