#include "store/remote/credentials.h"

#include <gtest/gtest.h>

#include "base/fs.h"
#include "tests/store/remote/test_clock.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn::remote {
namespace {

using namespace std::chrono_literals;
using Variables = std::map<std::string, std::string>;

constexpr char kJson[] = R"({"AccessKeyId": "id", "SecretAccessKey": "sec", "Token": "tok",)"
                         R"( "Expiration": "2023-11-14T23:13:20Z", "Code": "Success"})";

/// Services that answer by URL; what is asked is kept.
class Finding {
 public:
  Result<Credentials> find(Variables variables) {
    const Environment environment(std::move(variables));
    return find_credentials(
        environment, profile, "eu-west-1", [&](const HttpRequest& request) -> HttpResult {
          asked.push_back(request);
          bodies.emplace_back(as_text(request.body));
          const auto found = answers.find(request.method + " " + request.url.text());
          if (found == answers.end()) {
            return tl::unexpected<HttpFailure>({HttpTrouble::kConnect, "nobody", false, 0});
          }
          HttpResponse response;
          response.status = 200;
          append_bytes(response.body, as_bytes(found->second));
          return response;
        });
  }
  std::string header(size_t request, std::string_view name) const {
    for (const HttpHeader& header : asked.at(request).headers) {
      if (header.name == name) return header.value;
    }
    return "";
  }

  Profile profile{.name = "default", .settings = {}, .looked_at = "nowhere"};
  std::map<std::string, std::string> answers;
  std::vector<HttpRequest> asked;
  std::vector<std::string> bodies;
  TestClock clock;
};

TEST(Credentials, OfTheEnvironmentComeFirst) {
  Finding finding;
  finding.profile.settings = {{"aws_access_key_id", "p"}, {"aws_secret_access_key", "q"}};
  const auto found = finding.find(
      {{"AWS_ACCESS_KEY_ID", "a"}, {"AWS_SECRET_ACCESS_KEY", "b"}, {"AWS_SESSION_TOKEN", "c"}});
  ASSERT_TRUE(succeeds(found));
  EXPECT_EQ(found->keys.access_key + found->keys.secret_key + found->keys.session_token, "abc");
  EXPECT_EQ(found->expires_ns, 0);
  const auto of_profile = finding.find({});
  ASSERT_TRUE(succeeds(of_profile));
  EXPECT_EQ(of_profile->keys.access_key, "p");
  EXPECT_TRUE(finding.asked.empty());
}

TEST(Credentials, NoneTellsWhereWasLooked) {
  Finding finding;
  const auto none = finding.find({});
  ASSERT_TRUE(fails_with(Code::kAuth, none));
  for (const char* word : {"AWS_ACCESS_KEY_ID", "web identity", "profile", "container", "EC2"}) {
    EXPECT_NE(none.error().message.find(word), std::string::npos) << none.error().message;
  }
}

TEST(Credentials, OneOfTwoVariablesNamesTheOther) {
  Finding finding;
  const auto no_key = finding.find({{"AWS_SECRET_ACCESS_KEY", "hidden"}});
  ASSERT_TRUE(fails_with(Code::kAuth, no_key));
  EXPECT_NE(no_key.error().message.find("AWS_ACCESS_KEY_ID: not set"), std::string::npos);
  EXPECT_EQ(no_key.error().message.find("hidden"), std::string::npos);
  finding.profile.settings = {{"aws_access_key_id", "p"}, {"aws_secret_access_key", "q"}};
  EXPECT_TRUE(succeeds(finding.find({{"AWS_SECRET_ACCESS_KEY", "hidden"}})));
  // Not the profile's keys in its place.
  const auto no_secret = finding.find({{"AWS_ACCESS_KEY_ID", "AKIDONLY"}});
  ASSERT_TRUE(fails_with(Code::kAuth, no_secret));
  EXPECT_NE(no_secret.error().message.find("AWS_SECRET_ACCESS_KEY is not"), std::string::npos);
  EXPECT_EQ(no_secret.error().message.find("AKIDONLY"), std::string::npos);
}

TEST(Credentials, WaysThatAreNotFollowedAreNamed) {
  Finding finding;
  finding.profile.settings = {{"credential_process", "helper --secret x"}};
  const auto none = finding.find({});
  ASSERT_TRUE(fails_with(Code::kAuth, none));
  EXPECT_NE(none.error().message.find("credential_process"), std::string::npos);
  EXPECT_EQ(none.error().message.find("helper"), std::string::npos);
  EXPECT_TRUE(finding.asked.empty());
}

TEST(Credentials, OfAWebIdentity) {
  const TempFolder folder;
  ASSERT_TRUE(succeeds(create_and_sync(posix_fs(), folder / "token", as_bytes("t+k/n\n"))));
  Finding finding;
  finding.answers["POST https://sts.eu-west-1.amazonaws.com/"] =
      "<R xmlns='x'><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>i</AccessKeyId>"
      "<SecretAccessKey>s&amp;</SecretAccessKey><SessionToken>t</SessionToken>"
      "<Expiration>2023-11-14T23:13:20Z</Expiration></Credentials>"
      "</AssumeRoleWithWebIdentityResult></R>";
  const auto found = finding.find({{"AWS_WEB_IDENTITY_TOKEN_FILE", folder / "token"},
                                   {"AWS_ROLE_ARN", "arn:aws:iam::1:role/x"}});
  ASSERT_TRUE(succeeds(found));
  EXPECT_EQ(found->keys.secret_key, "s&");
  EXPECT_EQ(found->expires_ns, int64_t{1'700'003'600} * 1'000'000'000);
  EXPECT_EQ(finding.bodies[0],
            "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&"
            "RoleSessionName=cairn&Version=2011-06-15&WebIdentityToken=t%2Bk%2Fn");
}

TEST(Credentials, OfAContainer) {
  Finding finding;
  finding.answers["GET http://169.254.170.2/v2/creds?id=7"] = kJson;
  const auto found = finding.find({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/creds?id=7"},
                                   {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer z"}});
  ASSERT_TRUE(succeeds(found));
  EXPECT_EQ(found->keys.session_token, "tok");
  EXPECT_EQ(finding.header(0, "Authorization"), "Bearer z");
  EXPECT_TRUE(finding.asked[0].no_proxy);
}

TEST(Credentials, AContainerElsewhereIsNotAsked) {
  Finding finding;
  const Variables variables = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/c"},
                               {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret"},
                               {"AWS_EC2_METADATA_DISABLED", "true"}};
  EXPECT_TRUE(fails_with(Code::kAuth, finding.find(variables)));
  EXPECT_TRUE(finding.asked.empty());
  Finding near;
  near.answers["GET http://127.0.0.1:9/c"] = kJson;
  EXPECT_TRUE(
      succeeds(near.find({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/c"}})));
  Finding split;
  Variables two_lines = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/c"},
                         {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nEvil: 1"},
                         {"AWS_EC2_METADATA_DISABLED", "true"}};
  EXPECT_TRUE(fails_with(Code::kAuth, split.find(two_lines)));
  EXPECT_TRUE(split.asked.empty());
}

TEST(Credentials, OfAMachine) {
  Finding finding;
  const std::string base = "http://169.254.169.254/latest/";
  finding.answers["PUT " + base + "api/token"] = "TOKEN";
  finding.answers["GET " + base + "meta-data/iam/security-credentials/"] = "my-role\nother";
  finding.answers["GET " + base + "meta-data/iam/security-credentials/my-role"] = kJson;
  const auto found = finding.find({});
  ASSERT_TRUE(succeeds(found));
  EXPECT_EQ(found->keys.access_key, "id");
  EXPECT_EQ(finding.header(1, "X-aws-ec2-metadata-token"), "TOKEN");
  EXPECT_EQ(finding.header(2, "X-aws-ec2-metadata-token"), "TOKEN");
  for (const HttpRequest& request : finding.asked) EXPECT_LE(request.limit, 1s);
  EXPECT_TRUE(fails_with(Code::kAuth, finding.find({{"AWS_EC2_METADATA_DISABLED", "true"}})));
  EXPECT_EQ(finding.asked.size(), 3U);
}

TEST(Credentials, AnswersThatAreNone) {
  Finding finding;
  for (const char* text : {"", "{", "[]", "{}", R"({"AccessKeyId": 1, "SecretAccessKey": "x"})"}) {
    finding.answers["GET http://127.0.0.1/c"] = text;
    EXPECT_TRUE(fails_with(
        Code::kAuth, finding.find({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c"},
                                   {"AWS_EC2_METADATA_DISABLED", "1"}})));
  }
}

/// Finds keys named by a count, which expire after an hour; or fails.
struct Source {
  TestClock clock;
  int count = 0;
  bool fails = false;
  int64_t lasts_ns = int64_t{3600} * 1'000'000'000;
  CredentialStore store{[this]() -> Result<Credentials> {
                          ++count;
                          if (fails) return fail(Code::kAuth, "none");
                          Credentials found;
                          found.keys = {std::to_string(count), "s", ""};
                          found.expires_ns = lasts_ns == 0 ? 0 : clock.wall_ns() + lasts_ns;
                          return found;
                        },
                        clock};
  std::string key() {
    const auto keys = store.get();
    return keys ? keys->access_key : "none";
  }
};

TEST(CredentialStore, RenewsBeforeTheyExpire) {
  Source source;
  EXPECT_EQ(source.key(), "1");
  source.clock.pass(54min);
  EXPECT_EQ(source.key(), "1");
  source.clock.pass(2min);
  EXPECT_EQ(source.key(), "2");
}

TEST(CredentialStore, AFailedRenewalIsNoErrorUntilTheyExpire) {
  Source source;
  EXPECT_EQ(source.key(), "1");
  source.fails = true;
  source.clock.pass(56min);
  EXPECT_EQ(source.key(), "1");
  EXPECT_EQ(source.key(), "1");
  EXPECT_EQ(source.count, 2);
  source.clock.pass(31s);
  EXPECT_EQ(source.key(), "1");
  EXPECT_EQ(source.count, 3);
  source.clock.pass(5min);
  EXPECT_EQ(source.key(), "none");
}

TEST(CredentialStore, ServersMaySayThatTheyExpired) {
  Source source;
  EXPECT_EQ(source.key(), "1");
  EXPECT_FALSE(source.store.expire());  // they were just found
  source.clock.pass(1min);
  EXPECT_TRUE(source.store.expire());
  EXPECT_EQ(source.key(), "2");
  Source lasting;
  lasting.lasts_ns = 0;
  EXPECT_EQ(lasting.key(), "1");
  lasting.clock.pass(24h * 365);
  EXPECT_EQ(lasting.key(), "1");
  EXPECT_FALSE(lasting.store.expire());
}

}  // namespace
}  // namespace cairn::remote
