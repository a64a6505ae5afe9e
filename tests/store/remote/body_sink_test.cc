#include "store/remote/body_sink.h"

#include <gtest/gtest.h>

namespace cairn::remote {
namespace {

using Taken = BodySink::Taken;

/// A request for 10 bytes from 100, and an answer to it.
struct Answer {
  explicit Answer(int status, std::vector<HttpHeader> headers = {}) {
    request.offset = 100;
    request.into = into;
    response.status = status;
    response.headers = std::move(headers);
  }
  Bytes into = Bytes(10);
  HttpRequest request;
  HttpResponse response;
  BodySink sink{request};
};

TEST(BodySink, APart) {
  Answer answer(206,
                {{"content-range", "bytes 100-109/500", false}, {"content-length", "10", false}});
  ASSERT_TRUE(answer.sink.begin(answer.response));
  EXPECT_EQ(answer.response.total, 500U);
  EXPECT_EQ(answer.sink.take(as_bytes("01234")), Taken::kMore);
  EXPECT_EQ(answer.sink.range_bytes(), 5U);
  EXPECT_EQ(answer.sink.take(as_bytes("56789")), Taken::kMore);
  ASSERT_TRUE(answer.sink.finish(answer.response));
  EXPECT_EQ(as_text(answer.into), "0123456789");
  EXPECT_EQ(answer.response.range_bytes, 10U);
}

TEST(BodySink, APartThatTheObjectCuts) {
  Answer answer(206, {{"content-range", "bytes 100-102/103", false}});
  ASSERT_TRUE(answer.sink.begin(answer.response));
  EXPECT_EQ(answer.sink.take(as_bytes("abc")), Taken::kMore);
  ASSERT_TRUE(answer.sink.finish(answer.response));
  EXPECT_EQ(answer.response.range_bytes, 3U);
}

TEST(BodySink, RangesThatWereNotAskedFor) {
  for (const char* range :
       {"", "bytes 99-108/500", "bytes 101-110/500", "bytes 100-104/500", "bytes 100-119/500",
        "bytes 100-109/105", "bytes 109-100/500", "items 100-109/500", "bytes 100-109/x",
        "bytes 100/500", "bytes 100-18446744073709551615/*"}) {
    Answer answer(206, {{"content-range", range, false}});
    EXPECT_FALSE(answer.sink.begin(answer.response)) << range;
    EXPECT_EQ(answer.sink.failure().trouble, HttpTrouble::kMalformed) << range;
  }
  Answer length(206,
                {{"content-range", "bytes 100-109/500", false}, {"content-length", "9", false}});
  EXPECT_FALSE(length.sink.begin(length.response));
  Answer coded(
      206, {{"content-range", "bytes 100-109/500", false}, {"content-encoding", "gzip", false}});
  EXPECT_FALSE(coded.sink.begin(coded.response));
  EXPECT_EQ(coded.sink.failure().trouble, HttpTrouble::kRefused);
}

TEST(BodySink, ALostRestKeepsWhatCame) {
  Answer answer(206, {{"content-range", "bytes 100-109/*", false}});
  ASSERT_TRUE(answer.sink.begin(answer.response));
  EXPECT_EQ(answer.sink.take(as_bytes("0123")), Taken::kMore);
  EXPECT_FALSE(answer.sink.finish(answer.response));
  EXPECT_EQ(answer.sink.failure().trouble, HttpTrouble::kShort);
  EXPECT_EQ(answer.sink.failure().range_bytes, 4U);
}

TEST(BodySink, TheWholeObjectInstead) {
  Answer answer(200, {{"content-length", "500", false}});
  ASSERT_TRUE(answer.sink.begin(answer.response));
  EXPECT_TRUE(answer.response.whole);
  EXPECT_EQ(answer.response.total, 500U);
  EXPECT_EQ(answer.sink.take(as_bytes(std::string(98, 'x'))), Taken::kMore);
  EXPECT_EQ(answer.sink.take(as_bytes("xx0123")), Taken::kMore);
  EXPECT_EQ(answer.sink.take(as_bytes("456789rest")), Taken::kEnough);
  ASSERT_TRUE(answer.sink.finish(answer.response));
  EXPECT_EQ(as_text(answer.into), "0123456789");
}

TEST(BodySink, TheWholeObjectThatEndsBefore) {
  Answer answer(200, {{"content-length", "50", false}});
  ASSERT_TRUE(answer.sink.begin(answer.response));
  EXPECT_EQ(answer.sink.take(as_bytes(std::string(50, 'x'))), Taken::kMore);
  ASSERT_TRUE(answer.sink.finish(answer.response));
  EXPECT_EQ(answer.response.range_bytes, 0U);
  Answer shorter(200, {{"content-length", "105", false}});
  ASSERT_TRUE(shorter.sink.begin(shorter.response));
  EXPECT_EQ(shorter.sink.take(as_bytes(std::string(102, 'x'))), Taken::kMore);
  EXPECT_FALSE(shorter.sink.finish(shorter.response));
}

TEST(BodySink, NothingThere) {
  Answer answer(416, {{"content-range", "bytes */77", false}});
  ASSERT_TRUE(answer.sink.begin(answer.response));
  EXPECT_EQ(answer.response.total, 77U);
}

TEST(BodySink, BodiesHaveABound) {
  HttpRequest request;
  request.body_max = 8;
  HttpResponse response;
  response.status = 200;
  BodySink sink(request);
  ASSERT_TRUE(sink.begin(response));
  EXPECT_EQ(sink.take(as_bytes("12345678")), Taken::kMore);
  EXPECT_EQ(sink.take(as_bytes("9")), Taken::kRefused);
  EXPECT_EQ(sink.failure().trouble, HttpTrouble::kTooLong);
  HttpResponse bad;
  bad.status = 500;
  BodySink told(request);
  ASSERT_TRUE(told.begin(bad));
  EXPECT_EQ(told.take(Bytes(BodySink::kErrorBytes + 5)), Taken::kMore);
  EXPECT_EQ(bad.body.size(), BodySink::kErrorBytes);
}

}  // namespace
}  // namespace cairn::remote
