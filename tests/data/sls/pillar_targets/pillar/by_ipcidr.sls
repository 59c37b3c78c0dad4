by_ipcidr: true
