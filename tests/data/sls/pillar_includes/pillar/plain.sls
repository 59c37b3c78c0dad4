own: {plain: plain}
