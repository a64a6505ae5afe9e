// Many tensors as few rows of a picture: layers of a range, or all layers, become one row. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cairn {

struct NamedTensor {
  std::string name;
  std::string tensor_class;
  std::string parameter;  ///< whose weight, moment, ... it is; empty where that is not known
};

struct TensorGroup {
  std::string label;  ///< a tensor's name, or what the names have in common: `layers.0-3.mlp`
  std::string tensor_class;
  size_t tensors = 0;
};

struct TensorGroups {
  std::vector<TensorGroup> groups;  ///< by class, then by label, numbers in it by their value
  std::vector<size_t> group_of;     ///< per tensor
};

/// Each tensor alone where `groups_max` allows; else by class and the leading parts of the
/// parameter's name, with ranges of numbers: the finest such grouping that fits.
/// REQUIRES: groups_max is at least the number of classes.
TensorGroups group_tensors(const std::vector<NamedTensor>& tensors, size_t groups_max);

/// Whether `a` comes before `b` when runs of digits are compared as numbers.
bool natural_less(const std::string& a, const std::string& b);

}  // namespace cairn
