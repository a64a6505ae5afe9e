#include "store/remote/sigv4.h"

#include <gtest/gtest.h>

#include "base/sha256.h"

namespace cairn::remote {
namespace {

std::string header_of(const HttpRequest& request, std::string_view name) {
  for (const HttpHeader& header : request.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

// The example of AWS's documentation, "Signature Calculations for the Authorization Header".
TEST(SigV4, GetsOfTheDocumentation) {
  HttpRequest request;
  request.url = *parse_url("https://examplebucket.s3.amazonaws.com/test.txt");
  request.headers = {{"Range", "bytes=0-9", false}};
  SigningScope scope;
  scope.region = "us-east-1";
  scope.wall_ns = int64_t{1369353600} * 1'000'000'000;
  sign_request(request, {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""},
               scope, to_hex(sha256({})));
  EXPECT_EQ(header_of(request, "Authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  for (const HttpHeader& header : request.headers) EXPECT_TRUE(header.secret) << header.name;
}

TEST(SigV4, QueriesAreSortedAndEncoded) {
  EXPECT_EQ(encode_query({}), "");
  EXPECT_EQ(encode_query({{"uploads", ""}}), "uploads=");
  EXPECT_EQ(encode_query({{"b", "2 3"}, {"a", "/+~"}, {"a", "&="}}), "a=%26%3D&a=%2F%2B~&b=2%203");
}

TEST(SigV4, HeadersAreTrimmed) {
  HttpRequest request;
  request.url = *parse_url("http://h:9000");
  request.headers = {{"X-B", "  a \t b  ", false}, {"x-a", "", false}};
  EXPECT_EQ(canonical_request(request, "p"),
            "GET\n/\n\nhost:h:9000\nx-a:\nx-b:a b\n\nhost;x-a;x-b\np");
}

}  // namespace
}  // namespace cairn::remote
