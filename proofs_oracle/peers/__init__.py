"""The same nets in other frameworks, as somebody would write them there: contestants of netc's benchmark."""
