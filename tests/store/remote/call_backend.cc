// Calls of a backend as a test in Python asks for them: a line of JSON in, a line of JSON out.
//
// The first line opens it: {"url", "stall_s", "retry_ms"}; then {"call": "read", "key", "offset",
// "bytes"}, ... Pauses between tries pass at once, by a clock of its own; how long they were in all
// is told as "waited_ms"; {"call": "pass", "seconds"} lets time pass. {"stop_at": n} stops the call
// once n requests have begun.
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clock.h"
#include "store/remote/open_backend.h"
#include "tests/store/remote/test_clock.h"

using cairn::Bytes;
using Json = nlohmann::json;

namespace cairn::remote {
namespace {

Json error_of(const Error& error) {
  return {{"code", code_name(error.code)}, {"message", error.message}, {"hint", error.hint}};
}

template <class Value, class Tell>
Json told(const Result<Value>& result, const Tell& tell) {
  if (!result) return {{"error", error_of(result.error())}};
  return tell(*result);
}

Json told(const WriteResult& result) {
  if (result) return {{"version", *result}};
  Json json = {{"error", error_of(result.error())}};
  json["error"]["ambiguous"] = result.error().ambiguous;
  return json;
}

Condition condition_of(const Json& line) {
  const std::string text = line.value("condition", "");
  if (text == "absent") return Condition::absent();
  return text.empty() ? Condition::none() : Condition::replaces(text);
}

UploadedPart part_of(const Json& json) {
  UploadedPart part{json["number"], json["bytes"], json["version"], {}};
  if (json.contains("crc32")) part.crc32 = json["crc32"].get<uint32_t>();
  return part;
}

Json told(const UploadedPart& part) {
  Json json = {{"number", part.number}, {"bytes", part.bytes}, {"version", part.version}};
  if (part.crc32) json["crc32"] = *part.crc32;
  return json;
}

Json call_upload(Backend& backend, const Json& line) {
  const std::string call = line["call"], key = line["key"], upload = line.value("upload", "");
  const std::string text = line.value("text", "");
  if (call == "begin") {
    return told(backend.begin_upload(key, 5 * kMiB), [](const auto& id) -> Json {
      return {{"upload", id}};
    });
  }
  if (call == "part") {
    return told(backend.upload_part(key, upload, line["number"], as_bytes(text)),
                [](const UploadedPart& part) { return told(part); });
  }
  std::vector<UploadedPart> parts;
  for (const Json& part : line["parts"]) parts.push_back(part_of(part));
  return told(backend.complete_upload(key, upload, parts, condition_of(line)));
}

Json call_backend(Backend& backend, const Json& line) {
  const std::string call = line["call"], key = line.value("key", "");
  if (call == "abilities") return {{"ranges", backend.abilities().ranges}};
  if (call == "info") {
    return told(backend.info(key), [](const ObjectInfo& info) -> Json {
      return {{"bytes", info.bytes}, {"version", info.version}};
    });
  }
  if (call == "read") {
    Bytes out(line["bytes"].get<size_t>());
    return told(backend.read(key, line["offset"], out), [&](const ReadAnswer& answer) -> Json {
      return {{"hex", to_hex(ByteSpan(out).first(answer.bytes))}, {"version", answer.version}};
    });
  }
  if (call == "whole") {
    const auto whole = backend.read_whole(key, line.value("bytes", kGiB));
    return told(whole, [](const WholeObject& object) -> Json {
      return {{"hex", to_hex(object.bytes)}, {"version", object.version}};
    });
  }
  if (call == "put") {
    const std::string text = line["text"];
    return told(backend.put(key, as_bytes(text), condition_of(line)));
  }
  if (call == "list") {
    return told(backend.list(key, ""), [](const auto& page) -> Json {
      return {{"count", page.items.size()}};
    });
  }
  return call_upload(backend, line);
}

/// Sets `stop` once as many requests have begun.
class Stopper {
 public:
  Stopper(const RemoteCounters& counters, uint64_t at, std::atomic<bool>& stop)
      : thread_([&counters, at, &stop, this] {
          while (!done_ && counters.requests < at) std::this_thread::yield();
          stop = true;
        }) {}
  ~Stopper() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

int run() {
  std::string text;
  if (!std::getline(std::cin, text)) return 2;
  const Json opening = Json::parse(text);
  TestClock clock;
  clock.random_value = 0.5;
  std::atomic<bool> stop{false};
  RemoteOptions options;
  options.counters = std::make_shared<RemoteCounters>();
  options.connections = 4;
  options.stall_limit = std::chrono::seconds(opening.value("stall_s", 20));
  options.retry_for = Milliseconds(opening.value("retry_ms", 30'000));
  options.clock = &clock;
  options.stop = &stop;
  const auto backend = open_backend(opening["url"].get<std::string>(), options);
  if (!backend) std::cout << Json({{"error", error_of(backend.error())}}) << std::endl;
  if (!backend) return 0;
  std::cout << Json({{"name", (*backend)->name()}}) << std::endl;
  while (std::getline(std::cin, text)) {
    const Json line = Json::parse(text);
    const uint64_t requests = options.counters->requests, retries = options.counters->retries;
    const Milliseconds begin = clock.now();
    const Stopwatch watch;
    std::optional<Stopper> stopper;
    if (line.contains("stop_at")) {
      stopper.emplace(*options.counters, requests + line["stop_at"].get<uint64_t>(), stop);
    }
    const bool passes = line["call"] == "pass";
    if (passes) clock.pass(std::chrono::seconds(line["seconds"].get<int>()));
    Json answer = passes ? Json::object() : call_backend(**backend, line);
    answer["seconds"] = watch.seconds();
    answer["waited_ms"] = (clock.now() - begin).count();
    answer["requests"] = options.counters->requests - requests;
    answer["retries"] = options.counters->retries - retries;
    std::cout << answer << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace cairn::remote

int main() { return cairn::remote::run(); }
