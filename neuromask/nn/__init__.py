"""Networks: layers, stitching and backbones."""
