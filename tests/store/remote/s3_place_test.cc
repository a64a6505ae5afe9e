#include "store/remote/s3_place.h"

#include <gtest/gtest.h>

#include "tests/support/outcome.h"

namespace cairn::remote {
namespace {

Result<S3Place> place(std::string_view url, std::map<std::string, std::string> variables = {},
                      Settings settings = {}) {
  Profile profile;
  profile.settings = std::move(settings);
  return find_s3_place(*parse_url(url), Environment(std::move(variables)), profile);
}

TEST(S3Place, OfAws) {
  const auto found = place("s3://my-bucket/a%20b/c/", {{"AWS_REGION", "eu-west-1"}});
  ASSERT_TRUE(succeeds(found));
  EXPECT_TRUE(found->is_aws);
  EXPECT_EQ(found->prefix, "a b/c");
  EXPECT_EQ(found->name(), "s3://my-bucket/a%20b/c");
  EXPECT_EQ(found->full_key("root"), "a b/c/root");
  EXPECT_EQ(found->url("a b/c/root", found->region).text(),
            "https://my-bucket.s3.eu-west-1.amazonaws.com/a%20b/c/root");
  EXPECT_EQ(found->url("", "cn-north-1").text(),
            "https://my-bucket.s3.cn-north-1.amazonaws.com.cn/");
}

TEST(S3Place, ABucketWithDotsGoesIntoThePath) {
  EXPECT_EQ(place("s3://my.bucket")->url("k", "us-east-1").text(),
            "https://s3.us-east-1.amazonaws.com/my.bucket/k");
}

TEST(S3Place, EndpointsOfOthers) {
  const auto found = place("s3://bucket/p", {{"AWS_ENDPOINT_URL", "http://127.0.0.1:9000/"}});
  ASSERT_TRUE(succeeds(found));
  EXPECT_EQ(found->url("p/k", "r").text(), "http://127.0.0.1:9000/bucket/p/k");
  EXPECT_EQ(
      place("s3://bucket", {{"AWS_ENDPOINT_URL", "http://a"}, {"AWS_ENDPOINT_URL_S3", "http://b"}})
          ->endpoint.host,
      "b");
  EXPECT_EQ(place("s3://bucket", {}, {{"endpoint_url", "http://c"}})->endpoint.host, "c");
  EXPECT_EQ(
      place("s3://bucket", {{"AWS_ENDPOINT_URL", "http://h"}, {"CAIRN_S3_ADDRESSING", "virtual"}})
          ->url("k", "r")
          .text(),
      "http://bucket.h/k");
  EXPECT_TRUE(fails_with(Code::kUsage, place("s3://bucket", {{"AWS_ENDPOINT_URL", "ftp://h"}})));
}

TEST(S3Place, Regions) {
  EXPECT_EQ(place("s3://bucket")->region, "us-east-1");
  EXPECT_EQ(place("s3://bucket", {}, {{"region", "r0"}})->region, "r0");
  EXPECT_EQ(place("s3://bucket", {{"AWS_DEFAULT_REGION", "r1"}}, {{"region", "r0"}})->region, "r1");
  EXPECT_EQ(place("s3://bucket", {{"AWS_DEFAULT_REGION", "r1"}, {"AWS_REGION", "r2"}})->region,
            "r2");
}

TEST(S3Place, Settings) {
  const auto found = place("s3://bucket", {{"CAIRN_S3_SSE", "aws:kms"},
                                           {"CAIRN_S3_SSE_KMS_KEY_ID", "key"},
                                           {"CAIRN_S3_ANONYMOUS", "1"},
                                           {"CAIRN_S3_PAYLOAD", "unsigned"},
                                           {"AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"}});
  ASSERT_TRUE(succeeds(found));
  EXPECT_EQ(found->encryption, "aws:kms");
  EXPECT_EQ(found->encryption_key, "key");
  EXPECT_TRUE(found->anonymous);
  EXPECT_FALSE(found->sign_payload);
  EXPECT_FALSE(found->checksums);
  EXPECT_TRUE(fails_with(Code::kUsage, place("s3://bucket", {{"CAIRN_S3_SSE", "rot13"}})));
  EXPECT_TRUE(fails_with(Code::kUsage, place("s3://bucket", {{"CAIRN_S3_SSE_KMS_KEY_ID", "key"}})));
  EXPECT_TRUE(fails_with(Code::kUsage, place("s3://bucket", {{"CAIRN_S3_ADDRESSING", "x"}})));
}

TEST(S3Place, NamesThatAreNone) {
  for (const char* url : {"s3://ab", "s3://under_score", "s3://bucket:80/x", "s3://me@bucket/x",
                          "s3://bucket/x?y", "s3://bucket/../x", "s3://bucket/a//b",
                          "s3://bucket/%zz", "s3://bucket/%0a", "s3://bucket/a/%2e%2e"}) {
    EXPECT_TRUE(fails_with(Code::kUsage, place(url))) << url;
  }
}

}  // namespace
}  // namespace cairn::remote
