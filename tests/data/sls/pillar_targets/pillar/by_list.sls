by_list: true
