"""How are programs tested that use this package, or stand under it? Parts of the product, for everybody's tests."""
