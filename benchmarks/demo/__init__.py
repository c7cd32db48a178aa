"""The demonstration bundle, made from a folder of heads: pretrained, chosen, judged, packed."""
