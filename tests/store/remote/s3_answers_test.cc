#include "store/remote/s3_answers.h"

#include <gtest/gtest.h>

#include "store/remote/s3_errors.h"
#include "tests/support/outcome.h"

namespace cairn::remote {
namespace {

TEST(S3Answers, Listings) {
  const auto page = parse_object_list(
      "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<Name>b</Name><Prefix>p%2F</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>to+k/n==</NextContinuationToken>"
      "<Contents><Key>p%2Fa+b%2Bc</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified>"
      "<ETag>&quot;abc&quot;</ETag><Size>123</Size><Owner><ID>x</ID></Owner></Contents>"
      "<Contents><Key>p%2Fz</Key><Size>0</Size></Contents></ListBucketResult>");
  ASSERT_TRUE(succeeds(page));
  EXPECT_EQ(page->next, "to+k/n==");
  ASSERT_EQ(page->items.size(), 2U);
  EXPECT_EQ(page->items[0].key, "p/a b+c");
  EXPECT_EQ(page->items[0].info.bytes, 123U);
  EXPECT_EQ(page->items[0].info.version, "\"abc\"");
  EXPECT_EQ(page->items[0].info.modified_ns, int64_t{1'700'000'000} * 1'000'000'000);
  EXPECT_EQ(page->items[1].info.version, "");
}

TEST(S3Answers, Uploads) {
  const auto page = parse_upload_list(
      "<ListMultipartUploadsResult><NextKeyMarker>k%26</NextKeyMarker>"
      "<NextUploadIdMarker>i&amp;</NextUploadIdMarker><IsTruncated>true</IsTruncated><Upload>"
      "<Key>a%2Fb</Key><UploadId>u1</UploadId><Initiated>2023-11-14T22:13:20Z</Initiated></Upload>"
      "</ListMultipartUploadsResult>");
  ASSERT_TRUE(succeeds(page));
  ASSERT_EQ(page->items.size(), 1U);
  EXPECT_EQ(page->items[0].key, "a/b");
  EXPECT_EQ(page->items[0].upload, "u1");
  EXPECT_EQ(page->next, "k%26&i%26");
}

TEST(S3Answers, Parts) {
  const auto page = parse_part_list(
      "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>3</PartNumber>"
      "<Size>5</Size><ETag>e</ETag><ChecksumCRC32>y/U6HA==</ChecksumCRC32></Part>"
      "</ListPartsResult>");
  ASSERT_TRUE(succeeds(page));
  ASSERT_EQ(page->items.size(), 1U);
  EXPECT_EQ(page->items[0].number, 3U);
  EXPECT_EQ(page->items[0].crc32, 0xcbf53a1cU);
  EXPECT_EQ(page->next, "");
  EXPECT_EQ(format_crc32(0xcbf53a1c), "y/U6HA==");
  const std::string text = format_parts({{1, 10, "\"a<\"", 0xcbf53a1c}, {2, 3, "b", {}}});
  EXPECT_NE(text.find("<Part><PartNumber>1</PartNumber><ETag>\"a&lt;\"</ETag>"
                      "<ChecksumCRC32>y/U6HA==</ChecksumCRC32></Part>"
                      "<Part><PartNumber>2</PartNumber><ETag>b</ETag></Part>"),
            std::string::npos)
      << text;
}

TEST(S3Answers, SingleValues) {
  EXPECT_EQ(parse_upload_id("<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                            "</InitiateMultipartUploadResult>")
                .value(),
            "u");
  EXPECT_EQ(parse_completed("<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>"
                            "</CompleteMultipartUploadResult>")
                .value(),
            "\"e-2\"");
  EXPECT_EQ(parse_completed("<CompleteMultipartUploadResponse><ETag>e</ETag>"
                            "</CompleteMultipartUploadResponse>")
                .value(),
            "e");
  EXPECT_TRUE(succeeds(parse_part_list("<ListPartsResponse/>")));
  EXPECT_TRUE(fails_with(Code::kFailed, parse_upload_id("<CompleteMultipartUploadResult/>")));
  EXPECT_TRUE(fails_with(Code::kFailed, parse_upload_id("<InitiateMultipartUploadResult/>")));
}

TEST(S3Answers, WhatIsNoneIsRefused) {
  for (const char* text : {"", "<html><body>hello</body></html>", "{}", "<ListBucketResult>",
                           "<!DOCTYPE x><ListBucketResult/>"}) {
    EXPECT_TRUE(fails_with(Code::kFailed, parse_object_list(text))) << text;
    EXPECT_TRUE(fails_with(Code::kFailed, parse_part_list(text))) << text;
    EXPECT_TRUE(fails_with(Code::kFailed, parse_upload_list(text))) << text;
  }
}

HttpResponse response_of(int status, std::string_view body) {
  HttpResponse response;
  response.status = status;
  append_bytes(response.body, as_bytes(body));
  return response;
}

Code code_of(int status, const std::string& code) {
  const std::string body = "<Error><Code>" + code + "</Code><Message>why</Message></Error>";
  return s3_error("cannot", response_of(status, code.empty() ? "" : body)).code;
}

TEST(S3Errors, MeanOneThingEach) {
  EXPECT_EQ(code_of(404, "NoSuchKey"), Code::kNotFound);
  EXPECT_EQ(code_of(404, "NoSuchBucket"), Code::kNotFound);
  EXPECT_EQ(code_of(404, ""), Code::kNotFound);
  EXPECT_EQ(code_of(403, "AccessDenied"), Code::kAuth);
  EXPECT_EQ(code_of(403, ""), Code::kAuth);
  EXPECT_EQ(code_of(400, "ExpiredToken"), Code::kAuth);
  EXPECT_EQ(code_of(400, "AuthorizationHeaderMalformed"), Code::kAuth);
  EXPECT_EQ(code_of(412, "PreconditionFailed"), Code::kExists);
  EXPECT_EQ(code_of(409, "ConditionalRequestConflict"), Code::kBusy);
  EXPECT_EQ(code_of(507, "XMinioStorageFull"), Code::kNoSpace);
  EXPECT_EQ(code_of(400, "InvalidRequest"), Code::kFailed);
  EXPECT_EQ(s3_error("cannot x", response_of(403,
                                             "<Error><Code>AccessDenied</Code>"
                                             "<Message>No</Message></Error>"))
                .message,
            "cannot x: 403 Forbidden (AccessDenied: No)");
}

TEST(S3Errors, PassingOnes) {
  for (const char* code : {"SlowDown", "InternalError", "BadDigest", "OperationAborted"}) {
    EXPECT_TRUE(is_passing_s3_code(code)) << code;
  }
  for (const char* code : {"", "NoSuchKey", "AccessDenied"}) EXPECT_FALSE(is_passing_s3_code(code));
  EXPECT_EQ(s3_code(response_of(200, "<Error><Code>InternalError</Code></Error>")),
            "InternalError");
  EXPECT_EQ(s3_code(response_of(502, "<html>proxy</html>")), "");
  EXPECT_EQ(s3_code(response_of(400, "<Error><Code>Cut</Code><Mess")), "Cut");
}

}  // namespace
}  // namespace cairn::remote
