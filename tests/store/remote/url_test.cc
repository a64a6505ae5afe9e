#include "store/remote/url.h"

#include <gtest/gtest.h>

#include "tests/support/outcome.h"

namespace cairn::remote {
namespace {

Url parsed(std::string_view text) {
  const auto url = parse_url(text);
  EXPECT_TRUE(succeeds(url)) << text;
  return url.value_or(Url());
}

TEST(Url, Parts) {
  const Url url = parsed("HTTPS://u%40x:p%3aw@Example.ORG:8443/a%20b/c?x=1&y#there");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.user, "u@x");
  EXPECT_EQ(url.password, "p:w");
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, "8443");
  EXPECT_EQ(url.path, "/a%20b/c");
  EXPECT_EQ(url.query, "x=1&y");
  EXPECT_EQ(url.authority(), "example.org:8443");
  EXPECT_EQ(url.shown(), "https://example.org:8443/a%20b/c");
  EXPECT_EQ(url.text(), "https://example.org:8443/a%20b/c?x=1&y");
}

TEST(Url, WhatMayBeLeftOut) {
  EXPECT_EQ(parsed("http://host").path, "");
  EXPECT_EQ(parsed("http://host?q").query, "q");
  EXPECT_EQ(parsed("http://host:80/x").authority(), "host");
  EXPECT_EQ(parsed("https://host:443").authority(), "host");
  EXPECT_EQ(parsed("https://host:80").authority(), "host:80");
  EXPECT_EQ(parsed("http://[::1]:90/x").host, "[::1]");
  EXPECT_EQ(parsed("http://[::1]:90/x").port, "90");
  EXPECT_EQ(parsed("http://[fe80::1]/x").authority(), "[fe80::1]");
  EXPECT_EQ(parsed("http://user@host/").user, "user");
}

TEST(Url, Refused) {
  for (const char* text :
       {"", "host/path", "://x", "http://", "http:///x", "http://a b/", "http://h/a b",
        "http://h:99999/", "http://h:x/", "http://h/\n", "http://h\\x/", "http://[::1/x",
        "http://u%zz@h/", "http://h\xc3\xa4/"}) {
    EXPECT_TRUE(fails_with(Code::kUsage, parse_url(text))) << text;
  }
}

TEST(Url, SecretsAreNotShown) {
  for (const char* text : {"http://me:secret@h:x/p?sig=secret", "http://me:secret@/p?secret",
                           "http://me:secret@h/a b?secret"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url);
    EXPECT_EQ(url.error().message.find("secret"), std::string::npos) << url.error().message;
    EXPECT_EQ(url.error().message.find("me:"), std::string::npos) << url.error().message;
  }
  EXPECT_EQ(parsed("http://me:secret@h/p?secret").shown(), "http://h/p");
  EXPECT_EQ(parsed("http://me:secret@h/p?q").text(), "http://h/p?q");
}

TEST(Url, Origins) {
  const Url url = parsed("https://h/x");
  EXPECT_TRUE(url.same_origin(parsed("https://me@H:443/y?z")));
  EXPECT_FALSE(url.same_origin(parsed("http://h/x")));
  EXPECT_FALSE(url.same_origin(parsed("https://h:444/x")));
  EXPECT_FALSE(url.same_origin(parsed("https://h.evil.org/x")));
}

TEST(Url, WhatWasMeant) {
  EXPECT_EQ(meant_url("s3:/bucket/x"), "s3://bucket/x");
  EXPECT_EQ(meant_url("https:/host/x"), "https://host/x");
  EXPECT_EQ(meant_url("models.example.org/store"), "https://models.example.org/store");
  EXPECT_EQ(meant_url("models.example.org:8443/store"), "http://models.example.org:8443/store");
  EXPECT_EQ(meant_url("localhost:8000"), "http://localhost:8000");
  for (const char* path : {"store", "/var/store", "./a.b/store", "../x", "runs/a.b", "store.d",
                           "a:b/c", "", ":", ".", "x.y/z"}) {
    EXPECT_FALSE(meant_url(path)) << path;
  }
}

TEST(Url, Encoding) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("aZ09-._~ /+%\xff"), "aZ09-._~%20%2F%2B%25%FF");
  EXPECT_EQ(percent_encode("a/b", true), "a/b");
  EXPECT_EQ(percent_decode("%e4%E4"), "\xe4\xe4");
  for (const char* bad : {"%", "%4", "%zz", "a%4", "%%41"})
    EXPECT_FALSE(percent_decode(bad)) << bad;
}

TEST(Url, Keys) {
  for (const char* key : {"root", "packs/ab/c", "a b", "\xc3\xa4", "...", "a..b", ".hidden"}) {
    EXPECT_TRUE(succeeds(check_key(key))) << key;
  }
  for (const char* key : {"", "/root", "a/", "a//b", ".", "..", "../x", "a/../b", "a/./b", "a\nb",
                          "a\x7f", "\xff", "a/.."}) {
    EXPECT_TRUE(fails_with(Code::kUsage, check_key(key))) << key;
  }
  EXPECT_TRUE(succeeds(check_key(std::string(1024, 'k'))));
  EXPECT_TRUE(fails_with(Code::kUsage, check_key(std::string(1025, 'k'))));
  EXPECT_TRUE(fails_with(Code::kUsage, check_key(std::string_view("a\0b", 3))));
}

}  // namespace
}  // namespace cairn::remote
