"""Draft: a first spec from a look at the files, without loading anything."""
