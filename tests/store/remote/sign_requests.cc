// Signs requests that come as lines of JSON, for sigv4_oracle_test.py. Prints the URL that is sent
// and the header Authorization of each.
#include <iostream>
#include <nlohmann/json.hpp>

#include "store/remote/sigv4.h"

using namespace cairn::remote;

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto asked = nlohmann::json::parse(line);
    HttpRequest request;
    request.method = asked["method"];
    const auto url = parse_url(asked["origin"].get<std::string>());
    if (!url) {
      std::cerr << url.error().message << "\n";
      return 1;
    }
    request.url = *url;
    request.url.path = "/" + percent_encode(asked["key"].get<std::string>(), true);
    request.url.query = encode_query(asked["query"].get<QueryPairs>());
    for (const auto& [name, value] : asked["headers"].items()) {
      request.headers.push_back({name, value, false});
    }
    SigningScope scope;
    scope.region = asked["region"];
    scope.service = asked["service"];
    scope.wall_ns = asked["wall_s"].get<int64_t>() * 1'000'000'000;
    sign_request(request, {asked["access"], asked["secret"], asked["token"]}, scope,
                 asked["payload"]);
    std::cout << nlohmann::json(
                     {{"url", request.url.text()}, {"authorization", request.headers.back().value}})
                     .dump()
              << "\n";
  }
  return 0;
}
