"""Who is meant is kept from who need not know: pseudonyms, sealed identities, unmasking by two people, sealed watch lists, holds."""
