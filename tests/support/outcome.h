// What a Result is, said by the test that did not expect it.
#pragma once

#include <gtest/gtest.h>

#include "base/error.h"

namespace cairn {

template <class T>
testing::AssertionResult succeeds(const Result<T>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << code_name(result.error().code) << ": " << result.error().message;
}

template <class T>
testing::AssertionResult fails_with(Code code, const Result<T>& result) {
  if (result) return testing::AssertionFailure() << "no error, expected " << code_name(code);
  if (result.error().message.empty()) return testing::AssertionFailure() << "an empty message";
  if (result.error().code == code) return testing::AssertionSuccess();
  return testing::AssertionFailure() << code_name(result.error().code) << " instead of "
                                     << code_name(code) << ": " << result.error().message;
}

}  // namespace cairn
