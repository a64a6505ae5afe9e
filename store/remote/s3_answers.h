// What S3's answers say. Pure; safe for any bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/remote/backend.h"

namespace cairn::remote {

/// `<Error>`: its code and message, fit to be shown.
struct S3Trouble {
  std::string code, message;
};
/// nullopt for what is no such document: an answer without a body, or that of a proxy.
std::optional<S3Trouble> parse_s3_trouble(std::string_view text);

// Errors of all: kFailed for what is no such document. Keys are those in the bucket.

Result<Page<ListedObject>> parse_object_list(std::string_view text);
/// `next`: as two encoded markers, for uploads_after().
Result<Page<OpenUpload>> parse_upload_list(std::string_view text);
Result<Page<UploadedPart>> parse_part_list(std::string_view text);
/// Of InitiateMultipartUpload.
Result<std::string> parse_upload_id(std::string_view text);
/// The version of what CompleteMultipartUpload made.
Result<std::string> parse_completed(std::string_view text);

/// The body of CompleteMultipartUpload.
std::string format_parts(const std::vector<UploadedPart>& parts);
/// A checksum as S3 writes it.
std::string format_crc32(uint32_t crc);

}  // namespace cairn::remote
