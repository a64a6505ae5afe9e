#include "store/remote/profile.h"

#include <gtest/gtest.h>

#include "base/fs.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn::remote {
namespace {

TEST(Settings, AreReadAsAwsReadsThem) {
  const auto sections = parse_settings(
      "# comment\n; another\nstray\n[default]\nregion = eu-west-1 ; there\nkey=a#b\r\n"
      "s3 =\n  endpoint_url = http://x\n\tother = 2\nlast = 3\n[ profile two ]\na = 1\n"
      "[default]\nmore = yes\n");
  const auto& first = sections.at("default");
  EXPECT_EQ(first.at("region"), "eu-west-1");
  EXPECT_EQ(first.at("key"), "a#b");
  EXPECT_EQ(first.at("s3.endpoint_url"), "http://x");
  EXPECT_EQ(first.at("s3.other"), "2");
  EXPECT_EQ(first.at("last"), "3");
  EXPECT_EQ(first.at("more"), "yes");
  EXPECT_EQ(sections.at("profile two").at("a"), "1");
}

TEST(Settings, TakeAnyBytes) {
  for (const char* text :
       {"", "[", "]", "[]", "=", "[a", "[a]\n=", "[a]\n = x", "\n\n", "[a]\n\xff=\x01"}) {
    (void)parse_settings(text);
  }
}

class ProfileFiles : public testing::Test {
 protected:
  void write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(succeeds(posix_fs().make_folders(folder_ / ".aws")));
    ASSERT_TRUE(succeeds(create_and_sync(posix_fs(), folder_ / (".aws/" + name), as_bytes(text))));
  }
  Result<Profile> read(std::map<std::string, std::string> variables) {
    variables.emplace("HOME", folder_.path());
    return read_profile(Environment(std::move(variables)));
  }
  TempFolder folder_;
};

TEST_F(ProfileFiles, CredentialsComeBeforeConfig) {
  write("credentials", "[default]\naws_access_key_id = one\n[work]\naws_access_key_id = two\n");
  write("config", "[default]\nregion = r1\naws_access_key_id = no\n[profile work]\nregion = r2\n");
  const auto usual = read({});
  ASSERT_TRUE(succeeds(usual));
  EXPECT_EQ(usual->get("aws_access_key_id"), "one");
  EXPECT_EQ(usual->get("region"), "r1");
  EXPECT_EQ(usual->get("nothing"), "");
  const auto work = read({{"AWS_PROFILE", "work"}});
  ASSERT_TRUE(succeeds(work));
  EXPECT_EQ(work->get("aws_access_key_id"), "two");
  EXPECT_EQ(work->get("region"), "r2");
}

TEST_F(ProfileFiles, ThatAreNotThere) {
  const auto none = read({});
  ASSERT_TRUE(succeeds(none));
  EXPECT_TRUE(none->settings.empty());
  const auto asked = read({{"AWS_PROFILE", "work"}});
  ASSERT_TRUE(fails_with(Code::kAuth, asked));
  EXPECT_NE(asked.error().message.find("work"), std::string::npos);
  // As with AWS's programs, which say so however they would find keys.
  EXPECT_TRUE(fails_with(
      Code::kAuth,
      read({{"AWS_PROFILE", "work"}, {"AWS_ACCESS_KEY_ID", "a"}, {"AWS_SECRET_ACCESS_KEY", "b"}})));
  EXPECT_TRUE(succeeds(read_profile(Environment(std::map<std::string, std::string>()))));
}

TEST_F(ProfileFiles, AreWhereVariablesSay) {
  write("elsewhere", "[default]\naws_access_key_id = there\n");
  const auto read_there = read({{"AWS_SHARED_CREDENTIALS_FILE", folder_ / ".aws/elsewhere"}});
  EXPECT_EQ(read_there->get("aws_access_key_id"), "there");
  const auto at_home = read({{"AWS_SHARED_CREDENTIALS_FILE", "~/.aws/elsewhere"}});
  EXPECT_EQ(at_home->get("aws_access_key_id"), "there");
}

TEST(Environment, MeansYes) {
  const Environment environment({{"a", "TRUE"}, {"b", "1"}, {"c", "Yes"}, {"d", "no"}, {"e", ""}});
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(environment.says_yes(name)) << name;
  for (const char* name : {"d", "e", "f"}) EXPECT_FALSE(environment.says_yes(name)) << name;
}

}  // namespace
}  // namespace cairn::remote
